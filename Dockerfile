# The web demo alone: `docker build -t fashionnb-demo .`, then `docker compose up`. It needs no network once it is built.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 demo
WORKDIR /app

# The versions of the lock, so that what runs here is what the tests ran. Of the lock the demo needs a part; most of the
# image is PyTorch.
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY fashionnb fashionnb
COPY book/checkpoints book/checkpoints
RUN grep -E '^[A-Za-z0-9._-]+(\[.*\])?==' requirements.lock | sed -E 's/ *\\$//; s/\[[^]]*\]//' > /tmp/versions.txt \
    && pip install --no-cache-dir --constraint /tmp/versions.txt ".[demo]" \
    && rm /tmp/versions.txt

USER demo
ENV FASHIONNB_CACHE=/home/demo/cache \
    GRADIO_ANALYTICS_ENABLED=False \
    OMP_NUM_THREADS=1
# Vectors of the drawn garments are made now, so that the first visitor does not wait for them.
RUN python -c "from fashionnb.apps.demo.backend import open_backend; open_backend()"

EXPOSE 8000
# All addresses of the container; compose.yaml lets only this machine in.
CMD ["fashionnb", "demo", "--host", "0.0.0.0"]

"""Which requests the demo answers, around an application that answers everything."""

import asyncio

import pytest

from fashionnb.apps.demo import photo_store, web_app

HOSTS = ("127.0.0.1", "localhost", "[::1]")


async def willing(scope, receive, send):
    """Reads everything, and says how much it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"referrer-policy", b"unsafe-url")],
        }
    )
    await send({"type": "http.response.body", "body": str(size).encode()})


def answer(path, chunks=(b"",), *, hosts=HOSTS, app=willing, **headers):
    """The status, the headers and the body of an answer, and how many of the chunks were asked for."""
    sent, asked = [], 0

    async def receive():
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": chunks[asked - 1], "more_body": asked < len(chunks)}

    async def send(message):
        sent.append(message)

    given = {
        "host": "127.0.0.1:8000",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    scope = {
        "type": "http",
        "path": path,
        "headers": [(k.encode(), v.encode()) for k, v in given.items()],
    }
    asyncio.run(web_app.protected(app, hosts)(scope, receive, send))
    begin, *bodies = sent
    assert begin["type"] == "http.response.start"
    assert {message["type"] for message in bodies} == {"http.response.body"}
    body = b"".join(message["body"] for message in bodies)
    return begin["status"], dict(begin["headers"]), body, asked


@pytest.mark.parametrize(
    "path",
    ["/", "/photo", "/garments/12.webp", "/config", "/theme.css", "/assets/index-D8.js", "/static/img/logo.svg",
     "/gradio_api/run/predict", "/gradio_api/heartbeat/a1b2"],
)  # fmt: skip
def test_the_pages_own_addresses_pass(path):
    assert answer(path)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=/etc/passwd", "/gradio_api/file/etc/passwd", "/file=/etc/passwd", "/gradio_api/upload",
     "/gradio_api/proxy=http://example.com", "/gradio_api/stream/x", "/gradio_api/queue/join", "/gradio_api/vibe-edit",
     "/assets/../../etc/passwd", "/static/..", "/assets/%2e%2e/x", "/assets//etc/passwd\n", "/garments/../1.webp",
     "/garments/x.webp", "/garments/-1.webp", "/docs", "/openapi.json", "/login", "//", ""],
)  # fmt: skip
def test_nothing_else_does(path):
    assert answer(path)[::2] == (404, b"There is nothing here.")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_a_demo_on_loopback_answers_to_its_own_names(host):
    assert answer("/", host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "", "10.0.0.1"])
def test_and_to_no_other(host):
    assert answer("/", host=host)[::2] == (400, b"Invalid host header")
    assert answer("/", host=host, hosts=None)[0] == 200


@pytest.mark.parametrize(
    ("path", "most"), [("/photo", photo_store.MAX_BYTES), ("/gradio_api/run/predict", 50_000)]
)
def test_a_request_that_says_that_it_is_large_is_not_read(path, most):
    assert answer(path, content_length=str(most))[0] == 200
    status, headers, body, asked = answer(path, content_length=str(most + 1))
    assert (status, asked) == (413, 0)
    assert b"10 MB are accepted" in body
    assert headers[b"connection"] == b"close"


@pytest.mark.parametrize("told", ["-1", "1e3", "many"])
def test_a_length_that_is_no_number_is_refused(told):
    assert answer("/photo", content_length=told)[0] == 411


def test_a_request_that_does_not_say_its_size_is_not_read():
    status, headers, body, asked = answer("/photo", transfer_encoding="chunked")
    assert (status, asked) == (411, 0)
    assert b"Content-Length" in body
    assert headers[b"connection"] == b"close"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_every_answer_keeps_the_browser_at_home(path):
    headers = answer(path)[1]
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy.partition("frame-ancestors")[0]
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"x-content-type-options"] == b"nosniff"

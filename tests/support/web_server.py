"""A web server on this machine that misbehaves as told: what the tests of fetching need."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Answers each path with the answers given for it, one request after another; the last one for good.

    An answer is bytes (sent as they are), a number (a status without content), or a pair: with ("cut", bytes) and
    ("stall", bytes) all are promised, half is sent, then the connection is closed, or nothing more comes; with
    ("pause", bytes) the other half comes after 0.3 s. A request for the end of a file is answered with that end,
    unless `ranges` is off; `asked` has the path of each request, `begun` where each began.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list] = {}
        self.asked: list[str] = []
        self.begun: list[int] = []
        self.ranges = True
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.begun.append(int(self.headers.get("Range", "bytes=0-")[6:-1]))
                answers = server.answers.get(self.path, [404])
                with contextlib.suppress(ConnectionError):  # the client hung up, as it should
                    self.answer(answers.pop(0) if len(answers) > 1 else answers[0])

            def answer(self, answer) -> None:
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                how, content = ("whole", answer) if isinstance(answer, bytes) else answer
                begin, size = server.begun[-1], len(content)
                if server.ranges and begin:
                    content = content[begin:]
                    if not content:
                        self.send_error(416)
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content if how == "whole" else content[: len(content) // 2])
                self.wfile.flush()
                if how == "stall":
                    server.over.wait(10)
                if how == "pause":
                    server.over.wait(0.3)
                    self.wfile.write(content[len(content) // 2 :])

            def log_message(self, *_) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, path: str, *answers) -> str:
        """The address of `path`, which from now on gives these answers."""
        if answers:
            self.answers[f"/{path}"] = list(answers)
        return f"http://127.0.0.1:{self.http.server_port}/{path}"

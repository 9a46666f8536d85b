"""The demo's files: the local server gives them their types, and gives nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local_server import ask, exchange, serving


class TestStaticFiles:
    @pytest.fixture
    def demo(self, tmp_path: Path) -> Path:
        (tmp_path / "secret.txt").write_text("secret")
        demo = tmp_path / "demo"
        (demo / "sub").mkdir(parents=True)
        (demo / "index.html").write_text("<title>Wizard</title>")
        (demo / "app.js").write_text("export {}")
        (demo / "with space.css").write_text("")
        (demo / "sub" / "index.html").write_text("sub")
        (demo / "link.txt").symlink_to(tmp_path / "secret.txt")
        (demo / "loop").symlink_to(demo / "loop")
        return demo

    @pytest.fixture
    def address(self, demo: Path) -> Iterator[tuple[str, int]]:
        with serving(static_dir=demo) as address:
            yield address

    @pytest.mark.parametrize(
        ("path", "content_type"),
        [
            ("/", "text/html; charset=utf-8"),
            ("/?flow=project", "text/html; charset=utf-8"),
            ("/sub/", "text/html; charset=utf-8"),
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/with%20space.css", "text/css; charset=utf-8"),
        ],
    )
    def test_files_have_their_types(
        self, address: tuple[str, int], path: str, content_type: str
    ) -> None:
        status, headers, _ = ask(address, "GET", path)
        assert (status, headers["content-type"]) == (200, content_type)

    @pytest.mark.parametrize(
        "path",
        [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/sub/../../secret.txt",
            "/..%5csecret.txt",
            "//etc/passwd",
            "/link.txt",
            "/loop",
            "/a%00b",
            "/" + "a" * 5000,
            "/missing.js",
        ],
    )
    def test_nothing_else_is_served(self, address: tuple[str, int], path: str) -> None:
        assert exchange(address, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).startswith(
            b"HTTP/1.1 404 "
        )

    def test_only_reading_is_allowed(self, address: tuple[str, int]) -> None:
        status, headers, _ = ask(address, "PUT", "/app.js", b"evil")
        assert (status, headers["allow"]) == (405, "GET, HEAD")

    def test_without_a_demo_the_root_says_what_to_do(self) -> None:
        with serving() as address:
            status, headers, body = ask(address, "GET", "/")
        assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert b"/api/sessions" in body

    def test_the_apis_prefix_is_a_whole_segment(self, address: tuple[str, int]) -> None:
        assert ask(address, "GET", "/apis")[1]["content-type"] == "application/problem+json"

"""A small server of the Hugging Face Hub's protocol for tests: repositories of files, with a commit for each push."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from hub.file_server import running


class HuggingFaceServer:
    """Serves repositories on 127.0.0.1.

    Attributes:
        repositories: USER/NAME -> list of (commit, path -> content), oldest first.
        refuses: status code of all answers, or None.
    """

    def __init__(self):
        self.repositories = {}
        self.refuses = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            do_HEAD = do_POST = do_GET

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def commit(self, name, files):
        """Add a commit with these files."""
        commits = self.repositories.setdefault(name, [])
        text = json.dumps([len(commits), name, sorted(files)])
        commits.append((hashlib.sha1(text.encode()).hexdigest(), dict(files)))
        return commits[-1][0]

    def at(self, name, revision):
        """Return (commit, files) of a revision; None if there is none."""
        commits = self.repositories.get(name, [])
        if revision in (None, "main"):
            return commits[-1] if commits else None
        return next((each for each in commits if each[0].startswith(revision)), None)

    def answer(self, handler):
        url = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        words = [unquote(word) for word in url.path.strip("/").split("/")]
        if self.refuses:
            return self.send(handler, self.refuses, {"error": "refused"})
        if words[:2] == ["api", "validate-yaml"]:
            return self.send(handler, 200, {"errors": [], "warnings": []})
        if words[:3] == ["api", "repos", "create"]:
            request = json.loads(body)
            name = f"{request.get('organization') or 'someone'}/{request['name']}"
            if name in self.repositories:
                return self.send(handler, 409, {"error": "exists", "url": f"{self.url}/{name}"})
            self.commit(name, {".gitattributes": b""})
            return self.send(handler, 200, {"url": f"{self.url}/{name}", "id": name, "name": name})
        if words == ["api", "models"]:
            author = parse_qs(url.query)["author"][0]
            names = [name for name in self.repositories if name.startswith(f"{author}/")]
            return self.send(
                handler, 200, [self.facts(name, *self.at(name, None)) for name in names]
            )
        if words[:2] == ["api", "models"]:
            return self.model(handler, "/".join(words[2:4]), words[4:], body)
        name, revision, path = "/".join(words[:2]), words[3], "/".join(words[4:])
        found = self.at(name, revision)
        if found is None or path not in found[1]:
            code = "EntryNotFound" if found else "RepoNotFound"
            return self.send(handler, 404, {"error": "not found"}, {"X-Error-Code": code})
        content = found[1][path]
        headers = {"X-Repo-Commit": found[0], "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        return self.send(handler, 200, content, headers)

    def model(self, handler, name, words, body):
        if words[:1] == ["preupload"]:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [dict(path=path, uploadMode="regular", shouldIgnore=False) for path in paths]
            return self.send(handler, 200, {"files": modes})
        if words[:1] == ["commit"]:
            files = dict(self.at(name, "main")[1])
            for line in body.decode().splitlines():
                operation = json.loads(line)
                value = operation["value"]
                if operation["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "deletedFile":
                    del files[value["path"]]
            commit = self.commit(name, files)
            answer = dict(
                success=True, commitOid=commit, commitUrl=f"{self.url}/{name}/commit/{commit}"
            )
            return self.send(handler, 200, answer)
        found = self.at(name, words[1] if words else None)
        if found is None:
            code = "RevisionNotFound" if name in self.repositories else "RepoNotFound"
            return self.send(handler, 404, {"error": "not found"}, {"X-Error-Code": code})
        return self.send(handler, 200, self.facts(name, *found))

    def facts(self, name, commit, files):
        siblings = [dict(rfilename=path, size=len(content)) for path, content in files.items()]
        return dict(
            id=name,
            sha=commit,
            siblings=siblings,
            lastModified="2026-12-02T10:00:00.000Z",
            pipeline_tag="tabular-classification",
            tags=["kzoo"],
        )

    def send(self, handler, status, content, headers=None):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)


def serving_hub():
    """Run a `HuggingFaceServer` in a block."""
    return running(HuggingFaceServer())

"""The Hugging Face Hub, through `huggingface_hub` (extra `hub`): a repository is a model, and a commit a revision.

Its own settings hold: the token of `hf auth login`, `HF_TOKEN`, `HF_ENDPOINT` for a mirror.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from kzoo.hub.index import MAX_INDEX, Revision, stated
from kzoo.inference.exported import MANIFEST, SIGNATURE, ExportedModel, Manifest
from kzoo.utils.address import HubAddress, Place
from kzoo.utils.downloads import NotWritten, Report
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import described
from kzoo.utils.formatting import first_line, in_bytes
from kzoo.utils.optional import require

_TAG = "kzoo"
_OF_A_NEW_REPOSITORY = frozenset([".gitattributes", "README.md", "LICENSE"])


class HuggingFaceReader:
    """Reads the models of a user or an organization."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._api = _api()

    def models(self) -> Mapping[str, Sequence[Revision]]:
        with _hub_errors(str(self.place), None):
            repositories = [*self._api.list_models(author=self.place.path, filter=_TAG, full=True)]
        return {
            model.id.partition("/")[2]: [
                Revision(
                    revision=str(model.sha or ""),
                    sha256="",
                    files={},
                    pushed=str(model.last_modified or "")[:10],
                    task=str(model.pipeline_tag or "").replace("-", "_"),
                )
            ]
            for model in repositories
        }

    def revision(self, address: HubAddress) -> Revision:
        repository = _repository(address)
        with _hub_errors(str(address), None):
            info = self._api.model_info(repository, revision=address.revision, files_metadata=True)
        sizes = {file.rfilename: file.size for file in info.siblings or ()}
        if MANIFEST not in sizes:
            raise KzooError(
                f"{address} is not an exported model of kzoo: the repository has no {MANIFEST}.",
                value=str(address),
            )
        own = [name for name in (MANIFEST, SIGNATURE) if name in sizes]
        for name in own:
            if not isinstance(sizes[name], int) or sizes[name] > MAX_INDEX:
                raise KzooError(
                    f"{address} is refused: {name} is larger than {in_bytes(MAX_INDEX)}."
                )
        with tempfile.TemporaryDirectory() as folder:
            for name in own:
                self._fetch(address, str(info.sha), name, Path(folder))
            manifest = Manifest.open(folder)
            files = {name: described(Path(folder, name)) for name in own} | dict(manifest.files)
        try:
            revision = Revision.read(
                dict(
                    revision=str(info.sha),
                    sha256=files[MANIFEST]["sha256"],
                    files=files,
                    pushed=str(info.last_modified or "")[:10],
                    **stated(manifest),
                )
            )
        except ValueError as error:
            raise KzooError(f"{address} is refused: {error}.") from None
        for name, facts in revision.files.items():
            if sizes.get(name) != facts["bytes"]:
                raise DownloadError(
                    f"{name} of {address} was changed: it has {sizes.get(name)} bytes, not {facts['bytes']:,}, and so "
                    f"not the sha256 {facts['sha256']}. Ask its owner which one is right."
                )
        return revision

    def copy(self, name: str, revision: Revision, file: str, target: Path, report: Report) -> None:
        address = HubAddress(self.place, name, revision.revision)
        facts = revision.files[file]
        folder = target.parents[file.count("/")]
        if not target.is_file() or described(target) != facts:
            self._fetch(address, revision.revision, file, folder)
        actual = described(target)
        if actual != facts:
            target.unlink()
            raise DownloadError(
                f"{file} of {address} was changed: its sha256 is {actual['sha256']}, not {facts['sha256']}. Ask its "
                "owner which one is right."
            )
        report(facts["bytes"])

    def _fetch(self, address: HubAddress, commit: str, file: str, folder: Path) -> None:
        with _hub_errors(str(address), file):
            self._api.hf_hub_download(_repository(address), file, revision=commit, local_dir=folder)
        # what it remembers of the files is no part of the model
        shutil.rmtree(folder / ".cache", ignore_errors=True)


def push(
    exported: ExportedModel, files: Mapping[str, Path], address: HubAddress, revision: Revision
) -> tuple[str, bool]:
    """Push an exported model as a commit, and return the commit, and whether there was something new.

    The repository is made, public, if there is none; files of its last push that the model lacks are removed from it.

    Args:
        exported: the model.
        files: path in the repository -> the file to push.
        address: where to.
        revision: what an index says of it.
    """
    module, api, repository = require("huggingface_hub", extra="hub"), _api(), _repository(address)
    with _hub_errors(str(address), None):
        api.create_repo(repository, exist_ok=True)
        info = api.model_info(repository)
    present = {file.rfilename for file in info.siblings or ()}
    previous: set[str] = {SIGNATURE}
    if MANIFEST in present:
        with tempfile.TemporaryDirectory() as folder:
            with _hub_errors(str(address), MANIFEST):
                api.hf_hub_download(repository, MANIFEST, revision=info.sha, local_dir=folder)
            if described(Path(folder, MANIFEST))["sha256"] == revision.sha256:
                return str(info.sha), False
            previous |= set(Manifest.open(folder).files)
    elif strangers := sorted(present - _OF_A_NEW_REPOSITORY):
        raise KzooError(
            f"{address} is the repository of something else: it has {strangers[0]}, and no {MANIFEST}. Choose another "
            "name."
        )
    operations = [
        module.CommitOperationAdd(path_in_repo=name, path_or_fileobj=path)
        for name, path in files.items()
    ]
    operations += [
        module.CommitOperationDelete(path_in_repo=name)
        for name in sorted(previous & present - set(files))
    ]
    with _hub_errors(str(address), None):
        commit = api.create_commit(
            repository,
            operations,
            commit_message=f"{exported.name}, exported {exported.manifest.created}",
        )
    return str(commit.oid), True


def _api() -> Any:
    return require("huggingface_hub", extra="hub").HfApi(library_name="kzoo")


def _repository(address: HubAddress) -> str:
    return f"{address.place.path}/{address.name}"


@contextmanager
def _hub_errors(subject: str, file: str | None) -> Iterator[None]:
    """Raise the errors of `huggingface_hub` as `KzooError`, on one line; without a connection as `DownloadError`."""
    errors = import_module("huggingface_hub.errors")
    try:
        yield
    except errors.GatedRepoError:
        raise KzooError(
            f"{subject} needs the consent of its owner. Ask on its page, and run: hf auth login"
        ) from None
    except errors.RevisionNotFoundError:
        raise KzooError(
            f"{subject} has no such revision. Use a branch, a tag or a commit."
        ) from None
    except errors.RepositoryNotFoundError:
        raise KzooError(
            f"{subject} does not exist, or it is private: hf auth login", value=subject
        ) from None
    except (
        errors.LocalEntryNotFoundError
    ) as error:  # it looked for a copy, because the hub did not answer
        reason = first_line(error.__cause__ or error)
        raise DownloadError(f"{subject} cannot be read: {reason}.", reason=reason) from None
    except errors.EntryNotFoundError:
        raise DownloadError(
            f"{subject} has no file {file}. Ask its owner for a new push."
        ) from None
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise KzooError(
                f"{subject}: the hub refuses it ({status}). Run: hf auth login"
            ) from None
        raise DownloadError(
            f"{subject}: the hub answers {status}.", reason=f"it answers {status}"
        ) from None
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise NotWritten(error) from None
        raise DownloadError(
            f"{subject} cannot be read: {first_line(error)}.", reason=first_line(error)
        ) from None
    except ValueError as error:
        if isinstance(error, KzooError):
            raise
        raise KzooError(f"{subject} is refused: {first_line(error)}.") from None
    except Exception as error:
        # its HTTP client has errors of its own without a connection
        if type(error).__module__.partition(".")[0] not in (
            "httpx",
            "httpx2",
            "httpcore",
            "httpcore2",
            "requests",
        ):
            raise
        raise DownloadError(
            f"{subject} cannot be read: {first_line(error)}.", reason=first_line(error)
        ) from None

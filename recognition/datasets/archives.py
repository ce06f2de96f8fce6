"""Read zips and folders as a stream of images. No entry is ever written under its own path: names are shown
and give labels.

The rule of labels is the same for zips, folders, and files that a browser sends with their paths: folders
that contain everything are removed; the next folder names the class; a file without one has no label.
"""

from __future__ import annotations

import itertools
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings

from recognition import naming
from recognition.datasets.formats.records import MAX_DOCUMENT_BYTES
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import GraftError, InvalidImageError, InvalidInputError, TooLargeError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.gif', '.bmp')
# Images of unsupported formats are rejected with that reason; files with any other suffix are skipped as not
# images.
UNSUPPORTED_IMAGES = (
    '.tif',
    '.tiff',
    '.heic',
    '.heif',
    '.avif',
    '.svg',
    '.psd',
    '.jp2',
    '.ico',
    '.eps',
    '.cr2',
    '.nef',
    '.dng',
)
# Annotations, and files of class names.
DOCUMENT_SUFFIXES = (
    '.xml',
    '.json',
    '.txt',
    '.csv',
    '.yaml',
    '.yml',
    '.names',
)
BOX_SUFFIXES = ('.xml', '.json', '.txt')  # Pascal VOC, COCO, YOLO
# Names of text files that hold no boxes.
TEXTS_WITHOUT_BOXES = (
    'readme',
    'license',
    'licence',
    'copying',
    'notice',
)
ARCHIVE_SUFFIXES = ('.zip', '.tar', '.gz', '.tgz', '.bz2', '.xz', '.7z', '.rar')
SYSTEM_FILES = {'thumbs.db', 'desktop.ini', 'ehthumbs.db', 'icon\r'}
# The others cannot be decompressed with a bound on the output.
COMPRESSION_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)
DIRECTORY_BYTES_PER_ENTRY = (
    256  # of the zip's directory for each allowed entry; read at once, so bounded before reading
)
MAX_COMPRESSION_RATIO = 100  # unpacked : packed of a whole archive; photos reach 1.0, screenshots 20
RATIO_EXEMPT_BYTES = 64 * 2**20  # bytes unpacked up to which the ratio does not matter
CHUNK_BYTES = 2**20  # bytes
MAX_DEPTH = 30  # folders in a path


def read_upload(name: str, file: IO[bytes]) -> Iterator[IncomingFile | UploadResult]:
    """Yield an image file itself, or the entries of a zip. Errors, at once: TooLargeError for an archive
    beyond the limits.
    """
    file.seek(0)
    packed = file.read(4) in (b'PK\x03\x04', b'PK\x05\x06')
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == '.zip' and packed:
        return _read_zip(name, file)
    if suffix in ARCHIVE_SUFFIXES:
        reason = (
            'is not a zip archive' if suffix == '.zip' else 'is an archive of an unsupported kind: send a zip'
        )
        return iter([UploadResult(naming.make_printable(name), 'rejected', reason, code='archive')])
    return iter([IncomingFile(name, lambda: _read_image_bytes(file), _measure_size(file), None)])


def read_files(
    files: Sequence[tuple[str, IO[bytes]]],
    *,
    paths: Sequence[str] = (),
    wrapper: str | None = None,
    label: str | None = None,
) -> Iterator[IncomingFile | UploadResult]:
    """Read the files of one request: images, zips, or the files of a dropped folder with their `paths` in it.

    wrapper: the folder of `paths` that contains everything; a browser that sends a dropped folder in parts
    knows it (find_common_folder of all paths), else it is found from these paths. label: of files whose
    folder names none. Errors, before any file is read: InvalidInputError, TooLargeError.
    """
    if paths and len(paths) != len(files):
        raise InvalidInputError(
            f'There are {len(files)} files but {len(paths)} paths.', field='relative_paths'
        )
    around = find_common_folder(paths) if wrapper is None else wrapper.strip('/')
    streams: list[Iterator[IncomingFile | UploadResult]] = []
    for index, (name, file) in enumerate(files):
        streams.append(_read_with_path(paths[index], around, file) if paths else read_upload(name, file))
    return _apply_default_label((item for stream in streams for item in stream), label)


def read_folder(folder: Path) -> Iterator[IncomingFile | UploadResult]:
    """The images below a folder of this machine, sorted; links are not followed."""
    files = sorted(path for path in folder.rglob('*') if path.is_symlink() or not path.is_dir())
    names = [path.relative_to(folder).as_posix() for path in files]
    around = find_common_folder(names)
    for name, path in zip(names, files, strict=True):
        if path.is_symlink() or not path.is_file():
            yield _reject_special_file(name)
        elif result := _reject_path(name):
            yield result
        else:
            yield IncomingFile(name, path.read_bytes, path.stat().st_size, label_from_path(name, around))


def read_folder_documents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The annotation files below a folder of this machine, sorted; links are not followed."""
    for path in sorted(path for path in folder.rglob('*') if path.is_file() and not path.is_symlink()):
        name = path.relative_to(folder).as_posix()
        if is_document(name) and not _reject_unsafe_path(name):
            with path.open('rb') as file:
                yield name, file.read(MAX_DOCUMENT_BYTES + 1)


def find_common_folder(paths: Iterable[str]) -> str:
    """The folders that all images lie in: `a/b` when every one lies below a/b; '' when there is none."""
    common: list[str] | None = None
    for path in paths:
        if _reject_path(path):
            continue
        folders = list(PurePosixPath(path).parts[:-1])
        if common is None:
            common = folders
        same = 0
        while same < min(len(common), len(folders)) and common[same] == folders[same]:
            same += 1
        common = common[:same]
    return '/'.join(common or [])


def label_from_path(path: str, wrapper: str = '') -> str | None:
    """The class that a path names: the first folder below the wrapper; None for a file that lies in none."""
    parts = PurePosixPath(path).parts
    around = PurePosixPath(wrapper).parts
    if parts[: len(around)] == around:
        parts = parts[len(around) :]
    return parts[0] if len(parts) > 1 else None


def _read_with_path(path: str, around: str, file: IO[bytes]) -> Iterator[IncomingFile | UploadResult]:
    if result := _reject_path(path):
        return iter([result])
    return iter(
        [
            IncomingFile(
                path, lambda: _read_image_bytes(file), _measure_size(file), label_from_path(path, around)
            )
        ]
    )


def _apply_default_label(
    items: Iterable[IncomingFile | UploadResult], label: str | None
) -> Iterator[IncomingFile | UploadResult]:
    for item in items:
        if isinstance(item, IncomingFile) and item.label is None and label:
            item = IncomingFile(item.name, item.read, item.size, label)
        yield item


def _reject_path(path: str) -> UploadResult | None:
    """The result for a path of an archive or folder that is not an image; None when it may be one."""
    if result := _reject_unsafe_path(path):
        return result
    shown, suffix = naming.make_printable(path), PurePosixPath(path).suffix.lower()
    if suffix and suffix not in IMAGE_SUFFIXES + UNSUPPORTED_IMAGES:
        reason = f'is not an image ({naming.make_printable(suffix, 20)})'
        if may_hold_boxes(path):
            hint = 'if it holds boxes, import it into a detection project'
            return UploadResult(shown, 'skipped', f'{reason}; {hint}', code='annotation_file')
        return UploadResult(shown, 'skipped', reason, code='not_an_image')
    return None


def _reject_unsafe_path(path: str) -> UploadResult | None:
    """The result for a path that is rejected or skipped whatever it is; None for any other."""
    shown = naming.make_printable(path)
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith('/')
        or '\\' in path
        or '..' in parts
        or parts[0][1:2] == ':'
        or '\0' in path
    ):
        return UploadResult(shown, 'rejected', 'has an unsafe path', code='unsafe_path')
    if len(parts) > MAX_DEPTH:
        return UploadResult(shown, 'rejected', 'is in too many folders', code='unsafe_path')
    if (
        '__MACOSX' in parts
        or any(part.startswith('.') for part in parts)
        or parts[-1].lower() in SYSTEM_FILES
    ):
        return UploadResult(shown, 'skipped', 'is a file of the operating system', code='system_file')
    if PurePosixPath(path).suffix.lower() in ARCHIVE_SUFFIXES:
        return UploadResult(shown, 'rejected', 'is an archive inside an archive', code='archive')
    return None


def is_document(path: str) -> bool:
    """By its name: a file of annotations, or one that goes with them."""
    return PurePosixPath(path).suffix.lower() in DOCUMENT_SUFFIXES


def may_hold_boxes(path: str) -> bool:
    """By its name."""
    name = PurePosixPath(path.lower())
    return name.suffix in BOX_SUFFIXES and not name.stem.startswith(TEXTS_WITHOUT_BOXES)


def may_hold_image(path: str) -> bool:
    """Whether an archive's entry of that name would be read as an image."""
    return _reject_path(path) is None and PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def read_documents(files: Sequence[tuple[str, IO[bytes]]]) -> Iterator[tuple[str, bytes]]:
    """Read the annotation files of a request and of its zips. Errors: TooLargeError, InvalidInputError (a
    damaged entry).
    """
    for name, file in files:
        if is_document(name):
            file.seek(0)
            yield name, file.read(MAX_DOCUMENT_BYTES + 1)
        elif PurePosixPath(name).suffix.lower() == '.zip':
            yield from _read_zipped_documents(name, file)


def _read_zipped_documents(name: str, file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    archive = _open_zip(name, file)
    if isinstance(archive, UploadResult):
        return  # reported where the images are read
    for entry in archive.infolist():
        inner = _decode_name(entry)
        if is_document(inner) and not (
            _reject_link(entry) or _reject_unsafe_path(inner) or _reject_unreadable_entry(entry)
        ):
            try:
                yield inner, _EntryReader(archive, entry, MAX_DOCUMENT_BYTES)()
            except InvalidImageError as error:
                raise InvalidInputError(
                    f'{naming.make_printable(inner)} {error.message}', field='files'
                ) from error


def _read_image_bytes(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(settings.MAX_IMAGE_BYTES + 1)


def _measure_size(file: IO[bytes]) -> int:
    return file.seek(0, 2)


class _BoundedReads:
    """A seekable file that limits one read: zipfile reads a zip's directory at once, whatever size it
    claims."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise TooLargeError(f'The archive lists more than {settings.MAX_ARCHIVE_ENTRIES:,} files.')
        return self._file.read(self._most if size < 0 else size)


def _read_zip(name: str, file: IO[bytes]) -> Iterator[IncomingFile | UploadResult]:
    """Errors, before any entry is read: TooLargeError."""
    archive = _open_zip(name, file)
    return iter([archive]) if isinstance(archive, UploadResult) else _iterate_entries(archive)


def _open_zip(name: str, file: IO[bytes]) -> zipfile.ZipFile | UploadResult:
    """Errors: TooLargeError."""
    try:
        size = _measure_size(file)
        bounded: Any = _BoundedReads(
            file, max(settings.MAX_ARCHIVE_ENTRIES * DIRECTORY_BYTES_PER_ENTRY, 2 * CHUNK_BYTES)
        )
        archive = zipfile.ZipFile(bounded)
    except GraftError:
        raise
    except Exception as error:  # on hostile directories the reader raises errors of every class
        reason = f'is a damaged zip archive ({type(error).__name__})'
        return UploadResult(naming.make_printable(name), 'rejected', reason, code='archive')
    _check_limits(name, size, [entry for entry in archive.infolist() if not entry.is_dir()])
    return archive


def _check_limits(name: str, packed: int, entries: list[zipfile.ZipInfo]) -> None:
    shown = naming.make_printable(name)
    if packed > settings.MAX_ARCHIVE_BYTES:
        raise TooLargeError(f'{shown} is larger than {settings.MAX_ARCHIVE_BYTES // 2**20:,} MB.')
    if len(entries) > settings.MAX_ARCHIVE_ENTRIES:
        raise TooLargeError(f'{shown} holds more than {settings.MAX_ARCHIVE_ENTRIES:,} files.')
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > settings.MAX_ARCHIVE_BYTES:
        raise TooLargeError(f'{shown} unpacks to more than {settings.MAX_ARCHIVE_BYTES // 2**20:,} MB.')
    if unpacked > RATIO_EXEMPT_BYTES and unpacked > MAX_COMPRESSION_RATIO * packed:
        raise TooLargeError(f'{shown} unpacks to {unpacked // max(packed, 1)} times its size.')


def _iterate_entries(archive: zipfile.ZipFile) -> Iterator[IncomingFile | UploadResult]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    names = [_decode_name(entry) for entry in entries]
    around = find_common_folder(names)
    for name, entry in zip(names, entries, strict=True):
        if result := _reject_link(entry) or _reject_path(name) or _reject_unreadable_entry(entry):
            yield result
        else:
            yield IncomingFile(
                name,
                _EntryReader(archive, entry, settings.MAX_IMAGE_BYTES),
                entry.file_size,
                label_from_path(name, around),
            )


def _decode_name(entry: zipfile.ZipInfo) -> str:
    """The entry's whole name. Archives made on a Mac often hold UTF-8 without the flag for it."""
    if entry.flag_bits & 0x800:
        return entry.orig_filename
    try:
        return entry.orig_filename.encode('cp437').decode('utf-8')
    except UnicodeError:
        return entry.orig_filename


def _reject_link(entry: zipfile.ZipInfo) -> UploadResult | None:
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return _reject_special_file(_decode_name(entry))
    return None


def _reject_special_file(name: str) -> UploadResult:
    reason = 'is a link or a device, not a file'
    return UploadResult(naming.make_printable(name), 'rejected', reason, code='not_a_file')


def _reject_unreadable_entry(entry: zipfile.ZipInfo) -> UploadResult | None:
    shown = naming.make_printable(_decode_name(entry))
    if entry.flag_bits & 0x1:
        return UploadResult(shown, 'rejected', 'is encrypted', code='archive')
    if entry.compress_type not in COMPRESSION_METHODS:
        return UploadResult(shown, 'rejected', 'is compressed by an unsupported method', code='archive')
    return None


class _EntryReader:
    """Read one entry, up to the limit and one more chunk (so that too large an entry is noticed), whatever
    size it claims.
    """

    def __init__(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> None:
        self.archive, self.entry, self.most = archive, entry, most

    def __call__(self) -> bytes:
        try:
            with self.archive.open(self.entry) as stream:
                # In chunks: a single read would ask the file for as many compressed bytes at once.
                pieces = iter(lambda: stream.read(CHUNK_BYTES), b'')
                return b''.join(itertools.islice(pieces, self.most // CHUNK_BYTES + 1))
        except Exception as error:  # a damaged entry: BadZipFile, zlib.error, EOFError, struct.error ...
            raise InvalidImageError('is damaged in the archive') from error

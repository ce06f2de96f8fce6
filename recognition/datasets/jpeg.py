"""Remove metadata from JPEG files without decoding them: no pixel changes."""

from __future__ import annotations

from collections.abc import Iterator

START, END, SCAN = 0xD8, 0xD9, 0xDA
APP0, APP2, APP14, APP15, COMMENT = 0xE0, 0xE2, 0xEE, 0xEF, 0xFE
MAX_PROFILE_BYTES = 64 * 2**10  # bytes
MARKERS_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}  # markers without a length


class MalformedJpegError(ValueError):
    """The segments are not those of a JPEG file; the image may still be decodable."""


def strip_metadata(data: bytes) -> bytes:
    """Return the first image of a JPEG file without EXIF (GPS), XMP, comments, previews and what follows its
    end.

    JFIF, Adobe's colour transform and a colour profile of reasonable size are kept: they change the colours.
    Errors: MalformedJpegError.
    """
    parts = [b'\xff\xd8']
    profile = 0
    for marker, segment in _iterate_segments(data):
        if marker == APP2 and segment[4:15] == b'ICC_PROFILE':
            profile += len(segment)
            if profile > MAX_PROFILE_BYTES:
                continue
        elif APP0 <= marker <= APP15 or marker == COMMENT:
            if not (marker == APP0 and segment[4:9] == b'JFIF\0') and not (
                marker == APP14 and segment[4:9] == b'Adobe'
            ):
                continue
            # A JFIF header may carry a thumbnail after its first 14 bytes; an upright file needs none.
            if marker == APP0:
                segment = b'\xff\xe0\x00\x10' + segment[4:16] + b'\0\0'
        parts.append(segment)
    return b''.join(parts) + b'\xff\xd9'


def _iterate_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment with its marker; a scan comes with its compressed pixels. Ends at the end of the first
    image.
    """
    if data[:2] != b'\xff\xd8':
        raise MalformedJpegError('no start of image')
    at = 2
    while True:
        marker, at = _read_marker(data, at)
        if marker == END:
            return
        if marker in MARKERS_WITHOUT_LENGTH:
            continue
        length = int.from_bytes(data[at : at + 2], 'big')
        end = at + length
        if length < 2 or end > len(data):
            raise MalformedJpegError('a segment is longer than the file')
        if marker == SCAN:
            end = _find_end_of_scan(data, end)
        yield marker, b'\xff' + bytes([marker]) + data[at:end]
        at = end


def _read_marker(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data) or data[at] != 0xFF:
        raise MalformedJpegError('a marker was expected')
    while at < len(data) and data[at] == 0xFF:  # any number of fill bytes
        at += 1
    if at >= len(data) or data[at] == 0:
        raise MalformedJpegError('a marker was expected')
    return data[at], at + 1


def _find_end_of_scan(data: bytes, at: int) -> int:
    """Where the compressed pixels end: at the next marker that is neither a stuffed zero nor a restart."""
    while True:
        at = data.find(b'\xff', at)
        if at < 0 or at + 1 >= len(data):
            raise MalformedJpegError('the end of the image is missing')
        follows = data[at + 1]
        if follows == 0xFF:
            at += 1
        elif follows == 0 or 0xD0 <= follows <= 0xD7:
            at += 2
        else:
            return at

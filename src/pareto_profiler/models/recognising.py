"""Recognising: what a file is that is no model, in the words of the user, and what to do."""

from __future__ import annotations

import io
import zipfile
from typing import Final

_NAMED: Final = 3
_HEAD: Final = 512
_BEGINNINGS: Final = (
    (b"\x1f\x8b", "is compressed with gzip: unpack it with gunzip"),
    (b"BZh", "is compressed with bzip2: unpack it with bunzip2"),
    (b"\xfd7zXZ", "is compressed with xz: unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it with unzstd"),
    (b"LITERTLM", "is a .litertlm bundle of several models: take the one you mean out of it"),
    (b"GGUF", "is a GGUF model, which no runtime here reads: convert it to .tflite or .circle"),
    (b"\x89HDF", "is an HDF5 file, such as a Keras model: convert it to .tflite with TensorFlow"),
    (b"\x7fELF", "is a program or a library, no model"),
    (b"\x93NUMPY", "is an array of NumPy, no model: give it with --input"),
)
_MODELS: Final = (".tflite", ".circle", ".onnx", ".param")
_PAGES: Final = (b"<!doctype html", b"<html", b"<?xml")


def what_it_is(data: bytes) -> str:
    r"""What a file is, and what to do about it; empty where that cannot be told.

    Args:
        data: The whole file.

    Examples:
        >>> what_it_is(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d4d")
        'is a Git LFS pointer and not the model itself: fetch it with git lfs pull'
        >>> what_it_is(b"<!DOCTYPE html><html>")
        'is a web page and not the model: take the link to the file itself (raw, download)'
    """
    head = data[:_HEAD].lstrip()
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "is a Git LFS pointer and not the model itself: fetch it with git lfs pull"
    if head[:64].lower().startswith(_PAGES):
        return "is a web page and not the model: take the link to the file itself (raw, download)"
    for beginning, words in _BEGINNINGS:
        if data.startswith(beginning):
            return words
    if data.startswith(b"PK\x03\x04"):
        return _archive(data)
    return ""


def _archive(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = [n for n in archive.namelist() if n.endswith(_MODELS)]
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "is a ZIP archive that cannot be read: it is damaged or of a newer version"
    if not inside:
        return f"is a ZIP archive without a file in it that ends in {', '.join(_MODELS)}"
    named = ", ".join(inside[:_NAMED]) + (" and more" if len(inside) > _NAMED else "")
    return f"is a ZIP archive, such as a .task bundle: unpack it, and take {named}"

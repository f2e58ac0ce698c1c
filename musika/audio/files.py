"""Audio files: streams of float32 blocks ``(samples, 2)``, read from anything, written to wav, flac, ogg and mp3.

Neither reading (``reading.py``) nor writing (``writing.py``) needs memory that grows with the length of a file.
"""

from musika.audio.reading import (
    AUDIO_ENDINGS,
    SAMPLE_RATE,
    AudioReader,
    find_audio,
    find_files,
    read_audio,
    read_blocks,
    resampled_length,
    show_path,
)
from musika.audio.writing import OUTPUT_FORMATS, AudioWriter, output_format, replacing, write_audio

__all__ = [
    "AUDIO_ENDINGS",
    "OUTPUT_FORMATS",
    "SAMPLE_RATE",
    "AudioReader",
    "AudioWriter",
    "find_audio",
    "find_files",
    "output_format",
    "read_audio",
    "read_blocks",
    "replacing",
    "resampled_length",
    "show_path",
    "write_audio",
]

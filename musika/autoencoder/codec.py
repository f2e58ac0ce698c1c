"""The codec: stereo audio <-> latents, any length in flat memory.

    audio --analyse--> log-magnitude --level1.encode--> --level2.encode--> latents
    latents --level2.decode--> --level1.decode--> (log-magnitude, phase) --synthesise--> --limit--> audio

Both ways go in blocks of one fixed shape that lie on a fixed grid in time, so what comes out does not depend on which
stretch is asked for, nor on how it is cut into pieces. While a network works on one block, the transforms of its
neighbour run beside it.

Encoding puts ``overlap`` zeros before the audio; decoding leaves the samples of that stretch out again. So every sample
lies under as many frames as any other, and a round trip keeps the length.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from musika.audio import limiter, spectral, stereo
from musika.autoencoder import decoded, graphs, identity, level1, level2
from musika.autoencoder.decoded import Parts
from musika.autoencoder.memory import keep_freed_memory
from musika.checks import UserError, check_choice
from musika.config import Config
from musika.settings import BLOCK_STEPS
from musika.threads import side_by_side
from musika.weights import load_weights, save_weights

Floats = NDArray[np.float32]
LatentSource = Callable[[int, int], Floats]

WEIGHTS_FILE = "codec.weights.h5"
_BUILDERS = {
    "level1_encoder": level1.build_level1_encoder,
    "level2_encoder": level2.build_level2_encoder,
    "level1_decoder": level1.build_level1_decoder,
    "level2_decoder": level2.build_level2_decoder,
}


def latent_window(latents: Floats, first: int, steps: int) -> Floats:
    """Take a window of finite latents; beyond either end the last step is held.

    Args:
        latents: Latents ``(all steps, 2 * latent_channels)``.
        first: First step; may be negative.
        steps: Number of steps.

    Returns:
        Latents ``(steps, 2 * latent_channels)``.
    """
    return latents[np.clip(np.arange(first, first + steps), 0, len(latents) - 1)]


class Codec:
    """The two-level autoencoder with everything around its four networks.

    Args:
        config: The config; ``sample_rate``, ``spectral`` and ``codec`` matter.
        networks: ``level1_encoder``, ``level2_encoder``, ``level1_decoder`` and ``level2_decoder``; new ones with
            random weights when left out.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor has it and the mean error in
            log-magnitude stays under 0.1 dB. It concerns decoding only; latents are always made in float32.
        bfloat16_error_db: That error, if it was measured before; measured when needed if left out.

    Attributes:
        config: The config.
        networks: The four networks by name.

    Raises:
        UserError: If the precision is unknown.
    """

    def __init__(
        self,
        config: Config,
        networks: dict[str, keras.Model] | None = None,
        precision: str = "auto",
        bfloat16_error_db: float | None = None,
    ):
        check_choice(precision, "precision", graphs.PRECISIONS)
        self.config = config
        self.networks = {name: networks[name] if networks else build(config) for name, build in _BUILDERS.items()}
        self._wanted_precision = precision
        self._error_db = bfloat16_error_db
        self._graphs: dict[str, keras.Model] = {}
        self._building = threading.Lock()

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.config.sample_rate

    @property
    def block_samples(self) -> int:
        """Samples in one block of the time grid."""
        return BLOCK_STEPS * self.config.latent_hop

    @property
    def hash(self) -> str:
        """Fingerprint of what latents mean, see `identity.latent_hash`: it names the codec that a latent file needs."""
        return identity.latent_hash(self.config, self.networks)

    @property
    def decoder_hash(self) -> str:
        """Fingerprint of how latents sound, see `identity.decoder_hash`."""
        return identity.decoder_hash(self.config, self.networks)

    @property
    def precision(self) -> str:
        """The precision in which this codec decodes on this machine, ``float32`` or ``bfloat16``."""
        if self._wanted_precision == "auto":
            fine = graphs.cpu_has_bfloat16() and self.bfloat16_error_db < graphs.AUTO_ERROR_DB
            self._wanted_precision = "bfloat16" if fine else "float32"
        return self._wanted_precision

    @property
    def bfloat16_error_db(self) -> float:
        """Mean absolute error in dB of the decoder's log-magnitudes in bfloat16, on a short made-up sound."""
        if self._error_db is None:
            probe = graphs.probe_audio(self.sample_rate, self.block_samples - self.config.spectral.overlap)
            context = self.config.codec.context_latents
            window = latent_window(self.encode(probe), -context, BLOCK_STEPS + 2 * context)
            decoder, settings = self.networks["level1_decoder"], self.config.spectral
            exact, rough = (
                decoded.level_of(self._run_decoders(window, 0, 0, dtype), decoder, settings)
                for dtype in ("float32", "bfloat16")
            )
            self._error_db = float(np.abs(exact - rough).mean()) * self.config.spectral.level_scale_db
        return self._error_db

    # Encoding

    def steps_for(self, samples: int) -> int:
        """Count the latent steps of a waveform.

        Args:
            samples: Its length.

        Returns:
            The number of steps; 0 for no samples.
        """
        return math.ceil((samples + self.config.spectral.overlap) / self.config.latent_hop) if samples else 0

    def encode(self, audio: NDArray) -> Floats:
        """Encode a waveform.

        Args:
            audio: Waveform in [-1, 1] of shape ``(samples, 2)``; ``(samples,)`` and ``(samples, 1)`` are doubled.

        Returns:
            Latents, float32 of shape ``(steps, 2 * latent_channels)``: the left channel's, then the right channel's.

        Raises:
            UserError: If the shape is another one, or there is a NaN.
        """
        blocks = list(self.encode_stream([audio]))
        return np.concatenate(blocks) if blocks else np.zeros((0, 2 * self.config.codec.latent_channels), np.float32)

    def encode_stream(self, blocks: Iterable[NDArray]) -> Iterator[Floats]:
        """Encode a waveform that comes in pieces, in flat memory.

        Args:
            blocks: Consecutive pieces of a waveform, each as `encode` takes it, of any lengths.

        Yields:
            Consecutive pieces of the latents; joined they are what `encode` gives, to the byte.

        Raises:
            UserError: If a piece has a wrong shape or holds a NaN.
        """

        def work(window_and_steps: tuple[Floats, int]) -> Floats:
            """Encode one block."""
            window, steps = window_and_steps
            level = spectral.log_magnitude(spectral.analyse(window, self.config.spectral), self.config.spectral)
            return self._run_encoders(level, steps)

        yield from side_by_side(work, self._audio_windows(blocks))

    def _audio_windows(self, blocks: Iterable[NDArray]) -> Iterator[tuple[Floats, int]]:
        """Cut audio into what one run of the encoders sees, and say how many steps of the result count."""
        hop, overlap = self.config.latent_hop, self.config.spectral.overlap
        context = self.config.codec.context_latents * hop
        length = self.block_samples + 2 * context + overlap
        buffer = np.zeros((context + overlap, 2), np.float32)
        samples, made = 0, 0
        for piece in blocks:
            sound = stereo.as_stereo(piece)
            samples += len(sound)
            for start in range(0, len(sound), self.block_samples):
                buffer = np.concatenate([buffer, sound[start : start + self.block_samples]])
                while len(buffer) > length:
                    yield buffer[:length], BLOCK_STEPS
                    made += BLOCK_STEPS
                    buffer = buffer[self.block_samples :]
        while made < self.steps_for(samples):
            window = np.zeros((length, 2), np.float32)
            window[: len(buffer)] = buffer[:length]
            yield window, min(BLOCK_STEPS, self.steps_for(samples) - made)
            made += BLOCK_STEPS
            buffer = buffer[self.block_samples :]

    def _run_encoders(self, level: Floats, steps: int) -> Floats:
        """Scaled log-magnitudes ``(2, frames, bins)`` of one block to its latents ``(steps, 2L)``."""
        with self._building:
            if "encode" not in self._graphs:
                encoders = [self.networks["level1_encoder"], self.networks["level2_encoder"]]
                self._graphs["encode"] = graphs.build_encode_graph(self.config, encoders, BLOCK_STEPS)
        latents = graphs.run_graph(self._graphs["encode"], [level])[0]
        return np.concatenate([latents[0], latents[1]], axis=-1)[:steps]

    # Decoding

    def decode(self, latents: Floats, noise: bool = True, samples: int | None = None, seed: int = 0) -> Floats:
        """Decode latents to a waveform.

        Args:
            latents: Array of shape ``(steps, 2 * latent_channels)``.
            noise: Whether the decoders add their noise.
            samples: Length of the result; as much as the latents hold when left out.
            seed: Seed of the noise.

        Returns:
            float32 waveform of shape ``(samples, 2)``, within [-1, 1] by the limiter.

        Raises:
            UserError: If the latents have a wrong shape or hold a NaN, or do not reach as far as ``samples``.
        """
        blocks = list(self.decode_stream(latents, noise, samples, seed))
        return np.concatenate(blocks) if blocks else np.zeros((0, 2), np.float32)

    def decode_stream(
        self, latents: Floats, noise: bool = True, samples: int | None = None, seed: int = 0
    ) -> Iterator[Floats]:
        """Decode latents in flat memory. Arguments and errors are those of `decode`.

        Returns:
            Iterator over consecutive pieces of the waveform.
        """
        latents = np.asarray(latents, dtype=np.float32)
        channels = 2 * self.config.codec.latent_channels
        if latents.ndim != 2 or latents.shape[1] != channels:
            raise UserError(
                f"codec: latents must have the shape (steps, {channels}). Received: shape {latents.shape}."
                " Decode them with the codec that made them."
            )
        if not np.isfinite(latents).all():
            raise UserError(
                "codec: latents must hold finite numbers only. Received: NaN or infinity. Encode them again."
            )
        held = max(0, len(latents) * self.config.latent_hop - self.config.spectral.overlap)
        if samples is None:
            samples = held
        elif not 0 <= samples <= held:
            raise UserError(f"codec: {len(latents)} latent steps hold 0 to {held} samples. Received: samples={samples}")
        return self.play(functools.partial(latent_window, latents), 0, samples, seed if noise else None)

    def play(
        self, source: LatentSource, start: int, stop: int | None, noise_seed: int | None
    ) -> Generator[Floats, None, None]:
        """Decode any stretch of endless latents; everything that sounds comes through here.

        Time zero is the first sample that is whole when nothing before step 0 is decoded: sample ``overlap`` of the
        frames from step 0 on.

        Args:
            source: Gives latents ``(steps, 2 * latent_channels)`` for a first step, which may be negative, and a count.
            start: First sample.
            stop: Sample to stop before; None to go on for ever.
            noise_seed: Seed of the decoders' noise; None leaves the noise out.

        Yields:
            Consecutive pieces of the waveform, ``(samples, 2)``, at most a block long, the same whatever ``start`` is.
        """
        settings, size = self.config.spectral, self.block_samples
        head = start + settings.overlap  # counted from the first frame of step 0
        end = math.inf if stop is None else stop + settings.overlap
        first = head // size
        if head - first * size < settings.overlap:
            first -= 1  # its tail sounds into the first samples
        last = None if stop is None else (end - 1) // size
        blocks = itertools.count(first) if last is None else iter(range(first, int(last) + 1))
        tail = np.zeros((settings.overlap, 2), np.float32)
        for block, wave in self.block_waves(source, blocks if end > head else iter(()), noise_seed):
            wave[: settings.overlap] += tail
            tail = wave[size:].copy()
            cut = slice(max(head - block * size, 0), min(end - block * size, size))
            if cut.start < cut.stop:
                yield limiter.soft_limit(wave[cut])

    def block_waves(
        self, source: LatentSource, blocks: Iterator[int], noise_seed: int | None, frames: int | None = None
    ) -> Iterator[tuple[int, Floats]]:
        """Decode blocks of the time grid, several side by side, ahead of whoever takes the results.

        Args:
            source: Gives latents for a first step and a count, see `play`; asked by one thread at a time.
            blocks: Which blocks.
            noise_seed: Seed of the decoders' noise; None leaves the noise out.
            frames: Frames, counted from time zero, after which there is nothing; None where there is no end.

        Yields:
            The block's number, and its waveform as from `synthesise`.
        """
        precision, one_at_a_time = self.precision, threading.Lock()
        keep_freed_memory()
        if precision not in self._graphs:
            level1, settings = self.networks["level1_decoder"], self.config.spectral
            threading.Thread(target=decoded.compile_ahead, args=(level1, settings), daemon=True).start()

        def work(block: int) -> tuple[int, Floats]:
            """Decode one block."""
            context = self.config.codec.context_latents
            with one_at_a_time:
                window = source(block * BLOCK_STEPS - context, BLOCK_STEPS + 2 * context)
            parts = self._run_decoders(window, block, noise_seed, precision)
            left = None if frames is None else frames - block * BLOCK_STEPS * self.config.codec.frames_per_latent
            return block, self.synthesise(tuple(part[:, :left] for part in parts))

        yield from side_by_side(work, blocks)

    def _run_decoders(self, window: Floats, block: int, noise_seed: int | None, precision: str) -> Parts:
        """Latents of one block and its context to what `synthesise` makes a waveform of, for the block alone."""
        codec, names = self.config.codec, ["level2_decoder", "level1_decoder"]
        networks = [self.networks[name] for name in names]
        inputs = graphs.decoder_inputs(self.config, networks, window, block, noise_seed)
        with self._building:
            if precision not in self._graphs:
                if precision != "float32":
                    pairs = zip(names, networks, strict=True)
                    networks = [graphs.copy_at(_BUILDERS[name], self.config, item, precision) for name, item in pairs]
                self._graphs[precision] = graphs.build_decode_graph(self.config, networks, BLOCK_STEPS)
        parts = tuple(graphs.run_graph(self._graphs[precision], inputs))
        if not codec.phase_iterations:
            return parts
        margin, frames = codec.context_latents * codec.frames_per_latent, len(window) * codec.frames_per_latent
        whole = decoded.spectrum_of(parts, self.networks["level1_decoder"], self.config.spectral)
        refined = spectral.refine_phases(whole, self.config.spectral, codec.phase_iterations)
        return (refined[:, margin : frames - margin],)

    def synthesise(self, parts: Parts) -> Floats:
        """Make the waveform of decoded frames; of some of a block's frames too.

        Args:
            parts: What the decoders give, arrays ``(2, frames, ...)``: weighted levels and both parts of the
                phasors, or scaled log-magnitudes and phase, or the spectrum alone.

        Returns:
            float32 waveform of ``frames * hop_length + overlap`` samples, not limited.
        """
        return decoded.waveform_of(parts, self.networks["level1_decoder"], self.config.spectral)

    # Files

    def save(self, folder: str | Path, weights_dtype: str = "float32") -> Path:
        """Write the weights into a folder as ``codec.weights.h5``.

        Args:
            folder: An existing folder.
            weights_dtype: ``float32``, or ``float16`` for half the size.

        Returns:
            The file.

        Raises:
            UserError: If ``weights_dtype`` is neither.
        """
        return save_weights(self.networks, Path(folder) / WEIGHTS_FILE, weights_dtype)

    @classmethod
    def load(
        cls, folder: str | Path, config: Config, precision: str = "auto", bfloat16_error_db: float | None = None
    ) -> Codec:
        """Read a codec from the folder that `save` wrote to.

        Args:
            folder: The folder.
            config: The config that the codec was built from.
            precision: As for `Codec`.
            bfloat16_error_db: As for `Codec`.

        Returns:
            The codec.

        Raises:
            UserError: If the weights are missing, damaged or of other sizes.
        """
        codec = cls(config, precision=precision, bfloat16_error_db=bfloat16_error_db)
        load_weights(codec.networks, Path(folder) / WEIGHTS_FILE)
        return codec

"""The settings of training, of the generator and of the codec. Every field has the default of the published recipe."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class GeneratorTrainingConfig:
    """Training of the latent GAN.

    Attributes:
        batch_size: Windows a step.
        steps: Training steps.
        learning_rate: Adam's learning rate of both networks.
        beta_1: Adam's first-moment decay.
        beta_2: Adam's second-moment decay.
        decay_from: Share of the steps after which the learning rate falls linearly to ``decay_to``.
        decay_to: Share of the learning rate that is left at the last step.
        ema: Decay of the averaged generator that is sampled from (reached gradually from 0.5).
        penalty_max: Weight of the gradient penalty when its adaptive factor is 1.
        penalty_every: Steps between two gradient penalties; the weight is multiplied by it.
        penalty_step: Change of the adaptive factor a step.
        penalty_certainty: Certainty of the critic (see ``training/penalty.py``) above which the factor rises.
        instance_noise: Standard deviation of the noise added to real and generated latents.
        mismatch: Weight of real latents that are told another example's controls and that the critic learns to refuse,
            so that it attends to the controls even while it finds other faults. Published: none.
        control_loss: Weight, in the generator's loss, of how far the controls that an auxiliary network hears in
            generated latents are from those that were asked for. Published: none.
        moments: Weight, in the generator's loss, of how far the mean and the covariance of generated latents, and of
            how much windows vary, are from the training music's (see ``training/moments.py``). Published: none.
        joint_matching: Weight, in the generator's loss, of how much less evenly generated steps meet than those of the
            training music; needs ``critic_joints`` (see ``training/joints.py``). Published: none.
        rise_matching: Weight, in the generator's loss, of how much more grows louder between attacks than in the
            training music; needs a compact codec (see ``training/rises.py``). Published: none.
        level_matching: Weight, in the generator's loss, of how far the distributions of the bands' levels, second by
            second, are from those of the training music; needs a compact codec (see ``training/levels.py``). Published:
            none.
        change_matching: Weight, in the generator's loss, of how far the distributions of changes from a step to later
            ones are from those of the training music (see ``training/changes.py``). Published: none.
        truncation: Bound of the normal numbers that generated windows are made from, as in playing, 0 for none.
            Published: none in training, 2 in playing.
        spectral_critic: Weight, in the generator's loss, of a second critic that sees the spectrogram which latents
            stand for; needs a compact codec (see ``training/spectral_critic.py``). Published: none.
        spectral_penalty: Weight of that critic's gradient penalty when its adaptive factor is 1.
        spectral_penalty_every: Which of a batch's examples bear that penalty: every n-th.
        critic_joints: With a compact codec, how many of level 1's leading principal components the critic compares
            between the end of one latent step and the beginning of the next. Published: none.
        cutout: Longest share of a window, at a random place, that the critic does not see of real and of generated
            latents alike (half of the windows), so that it cannot learn a small folder by heart. Published: none.
        critic_first: Steps at the beginning in which the critic alone learns, for a generator that goes on without the
            critic that it grew up with.
        trains: What is trained: ``generator`` (with its critics) and, if there is one, ``refiner``.
        refiner_batch: How many of a batch's windows the refiner learns from at each step, at most.
        refiner_rate: What its learning rate is, in those of the other networks.
        frozen: Layers that keep their weights, by the beginnings of their names, such as ``critic.block0``.
        patience: Saves without a better score after which a fine-tuning ends; 0 for none.
        normalise: Whether latents are normalised by channel; the statistics go into the preset.
        emphasis: With ``normalise`` and a compact codec, exponent of each latent channel's share of the level-1 signal
            in its size to the GAN: 0 makes all channels equal, 1 leaves principal components their natural size.
        mixed_precision: ``auto`` (where the device has it), ``on`` or ``off``.
        save_every: Steps between two saves.
        held_out: Share of the files that is kept for the scores.
        seed: Seed of initial weights, crops, coordinates and noise.
    """

    batch_size: int = 32
    steps: int = 2_000_000
    learning_rate: float = 1e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    decay_from: float = 1.0
    decay_to: float = 1.0
    ema: float = 0.999
    penalty_max: float = 10.0
    penalty_every: int = 1
    penalty_step: float = 1e-4
    penalty_certainty: float = 0.9
    instance_noise: float = 0.0
    mismatch: float = 0.0
    control_loss: float = 0.0
    moments: float = 0.0
    joint_matching: float = 0.0
    rise_matching: float = 0.0
    level_matching: float = 0.0
    change_matching: float = 0.0
    truncation: float = 0.0
    spectral_critic: float = 0.0
    spectral_penalty: float = 1.0
    spectral_penalty_every: int = 4
    critic_joints: int = 0
    cutout: float = 0.0
    critic_first: int = 0
    trains: tuple[str, ...] = ("generator", "refiner")
    refiner_batch: int = 8
    refiner_rate: float = 5.0
    frozen: tuple[str, ...] = ()
    patience: int = 0
    normalise: bool = False
    emphasis: float = 0.0
    mixed_precision: str = "auto"
    save_every: int = 10_000
    held_out: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class CodecPhaseConfig:
    """One phase of the codec's training.

    Attributes:
        steps: Training steps of the phase; 0 leaves it out.
        learning_rate: Adam's peak learning rate (warm-up, then a cosine to 2 %).
        crops: Crops a batch.
        crop_latents: Latent steps in a crop.
        magnitude: Weight of the log-magnitude losses.
        difference: Weight of the losses on differences over frequency and time.
        waveform: Weight of the multi-scale spectral distance of the re-synthesised waveform.
        phasor: Weight of the amplitude-weighted cosine distance to the true phase.
        low_phasor: Weight of the phase distance in the bins of the phase recurrence alone.
        low_waveform: Weight of the spectral distance of what these bins sound like.
        low_onsets: Weight of what is missing to a full correlation of onset envelopes below 150 Hz.
        phase_steps: Weight of the cosine distance of phase steps, in the bins whose phase is tracked.
        border: Weight of how much more the spectrum changes where blocks meet than it does there in the original.
        latent: Weight of the distance of level-1 latents.
        adversarial: Weight of the critic's judgement.
        adversarial_from: Share of the steps after which the critic judges.
        through_level2: Share of the crops whose level-1 latents pass through level 2 (phases of the level-1 decoder).
        trains: Networks trained in this phase, instead of the published recipe's: of ``level1_encoder``,
            ``level1_decoder``, ``level2_encoder``, ``level2_decoder``; or a part: ``level1_decoder/phase_steps``.
    """

    steps: int = 0
    learning_rate: float = 7e-4
    crops: int = 12
    crop_latents: int = 12
    magnitude: float = 1.0
    difference: float = 1.0
    waveform: float = 0.0
    phasor: float = 0.0
    low_phasor: float = 0.0
    low_waveform: float = 0.0
    low_onsets: float = 0.0
    phase_steps: float = 0.0
    border: float = 0.0
    latent: float = 0.0
    adversarial: float = 0.0
    adversarial_from: float = 0.5
    through_level2: float = 0.0
    trains: tuple[str, ...] = ()


@dataclass(frozen=True)
class CodecTrainingConfig:
    """Training of the codec, phase after phase.

    Attributes:
        principal_components: Whether both levels start from principal components (compact codec).
        component_patches: Patches from which the principal components are measured.
        gain_low_db: Lowest random gain of a crop.
        gain_high_db: Highest random gain of a crop.
        save_every: Steps between two saves.
        held_out: Share of the files kept for held-out audio and scores.
        seed: Seed of initial weights, crops and noise.
        level1_magnitude: Phase 1, level 1 on magnitudes.
        level1_phase: Phase 2, level 1's phase with the encoder frozen, adversarial.
        level2_latent: Phase 3, level 2 on level-1 latents.
        level2_signal: Phase 4, level 2 through the frozen level-1 decoder.
        level1_low_phase: The phase recurrence of the compact level-1 decoder alone, on the lowest bins alone.
        level1_phase_steps: The phase steps of the compact level-1 decoder alone.
        order: The order in which the phases run.
    """

    principal_components: bool = False
    component_patches: int = 9000
    gain_low_db: float = -15.0
    gain_high_db: float = 5.0
    save_every: int = 1000
    held_out: float = 0.05
    seed: int = 0
    level1_magnitude: CodecPhaseConfig = field(default_factory=CodecPhaseConfig)
    level1_phase: CodecPhaseConfig = field(default_factory=CodecPhaseConfig)
    level2_latent: CodecPhaseConfig = field(default_factory=CodecPhaseConfig)
    level2_signal: CodecPhaseConfig = field(default_factory=CodecPhaseConfig)
    level1_low_phase: CodecPhaseConfig = field(default_factory=CodecPhaseConfig)
    level1_phase_steps: CodecPhaseConfig = field(default_factory=CodecPhaseConfig)
    order: tuple[str, ...] = ("level1_magnitude", "level1_phase", "level2_latent", "level2_signal")

"""Prints the losses of three codec training steps from fixed weights, on the backend that KERAS_BACKEND names."""

import json
import sys

import numpy as np

from musika.autoencoder import compact
from musika.config import load_config
from musika.data.audio_pool import AudioPool
from musika.training.codec_phase import NETWORKS, CodecPhase, make_batch


def main():
    overrides = json.loads(sys.argv[1])
    config = load_config("compact", overrides)
    networks = {name: getattr(compact, f"build_{name}")(config) for name in NETWORKS}
    rng = np.random.default_rng(0)
    tracks = [(3000 * rng.standard_normal((20000, 2))).astype(np.int16) for _ in range(2)]
    phase = CodecPhase(networks, config, "level1_phase")
    for network in [*networks.values(), phase.critic]:
        network.set_weights([0.1 * rng.standard_normal(item.shape).astype("float32") for item in network.get_weights()])
        if hasattr(network, "components"):
            network.components.scale.assign(np.ones(network.components.scale.shape))
    phase.optimizers()
    phase.set_judged(True)
    phase.compile(jit_compile=False)
    losses = []

    def batches():
        step = 0
        while True:
            yield (make_batch(phase, AudioPool(tracks, 0.5, 0), step, 0),)
            step += 1

    import keras

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append({key: float(value) for key, value in logs.items()})

    phase.fit(batches(), steps_per_epoch=3, verbose=0, callbacks=[Keep()])
    print(json.dumps(losses))


main()

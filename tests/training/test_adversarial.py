import numpy as np
import pytest

from musika.training.adversarial import critic_hinge, fake_hinge, generator_hinge, real_hinge

REAL = np.array([[2.0], [0.25], [-1.0]], np.float32)
FAKE = np.array([[-3.0], [-0.5], [1.0]], np.float32)


def test_hinge_losses_by_hand():
    assert float(real_hinge(REAL)) == pytest.approx((0 + 0.75 + 2) / 3)
    assert float(fake_hinge(FAKE)) == pytest.approx((0 + 0.5 + 2) / 3)
    assert float(critic_hinge(REAL, FAKE)) == pytest.approx(((0.75 + 2) + (0.5 + 2)) / 6)
    assert float(generator_hinge(FAKE)) == pytest.approx(2.5 / 3)

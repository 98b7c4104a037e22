import jax
import pytest

from mpijax import models

TINY = dict(scale=2, input_shape=(4, 4), features=4, blocks=1, embed=4, depth=0, heads=1, mlp=4)


@pytest.fixture(scope="session")
def model():
    return models.create("vrfnet", rngs=0, **TINY)


@pytest.fixture(scope="session")
def batch_fn():
    def batch(key):
        target = jax.random.normal(key, (4, 8, 8, 2))
        return {"input": target.reshape(4, 4, 2, 4, 2, 2).mean((2, 4)), "target": target}

    return batch

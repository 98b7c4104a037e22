"""Image reconstruction from a system matrix; its solvers return a ``Solution``.

``reconstruct`` goes from a measurement to images. Beneath it are Kaczmarz, Tikhonov, ADMM (also plug-and-play), neural
fields, solvers as trainable layers, patches and contrasts, the choice of lambda, row weights and drift. X-space images, made
without a system matrix, are deconvolved; those two functions live in ``mpijax.system``, because training data are made with them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

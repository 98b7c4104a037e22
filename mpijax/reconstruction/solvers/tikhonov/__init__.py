"""The minimizer of the quadratic functional, by factorization, conjugate gradients or a low rank."""

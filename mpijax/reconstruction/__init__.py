"""Image reconstruction from a system matrix; its solvers return a ``Solution``.

``reconstruct`` goes from a measurement to images. Beneath it are Kaczmarz, Tikhonov, ADMM (also plug-and-play), neural
fields, solvers as trainable layers, patches and contrasts, the choice of lambda, row weights and drift. X-space images, made
without a system matrix, are deconvolved; those two functions live in ``mpijax.system``, because training data are made with them.
"""

from mpijax.reconstruction.compatible import check_compatible as check_compatible
from mpijax.reconstruction.contrasts import contrast_problem as contrast_problem
from mpijax.reconstruction.contrasts import reconstruct_contrasts as reconstruct_contrasts
from mpijax.reconstruction.deconvolution import richardson_lucy as richardson_lucy
from mpijax.reconstruction.deconvolution import wiener_deconvolution as wiener_deconvolution
from mpijax.reconstruction.drift import drift_components as drift_components
from mpijax.reconstruction.equations import Equations as Equations
from mpijax.reconstruction.layers import ImplicitTikhonov as ImplicitTikhonov
from mpijax.reconstruction.layers import UnrolledKaczmarz as UnrolledKaczmarz
from mpijax.reconstruction.operators import FiniteDifference as FiniteDifference
from mpijax.reconstruction.parameter_choice import LCurve as LCurve
from mpijax.reconstruction.parameter_choice import discrepancy as discrepancy
from mpijax.reconstruction.parameter_choice import l_curve as l_curve
from mpijax.reconstruction.patches import align_to_lattice as align_to_lattice
from mpijax.reconstruction.patches import patch_problem as patch_problem
from mpijax.reconstruction.patches import reconstruct_patches as reconstruct_patches
from mpijax.reconstruction.pipeline import reconstruct as reconstruct
from mpijax.reconstruction.pipeline import solve as solve
from mpijax.reconstruction.problem import Problem as Problem
from mpijax.reconstruction.solvers.admm.factor import AdmmFactors as AdmmFactors
from mpijax.reconstruction.solvers.admm.factor import admm_factor as admm_factor
from mpijax.reconstruction.solvers.admm.minimizer import admm as admm
from mpijax.reconstruction.solvers.admm.minimizer import admm_solve as admm_solve
from mpijax.reconstruction.solvers.admm.minimizer import penalty_scale as penalty_scale
from mpijax.reconstruction.solvers.admm.settings import L1 as L1
from mpijax.reconstruction.solvers.admm.settings import TV as TV
from mpijax.reconstruction.solvers.admm.settings import Admm as Admm
from mpijax.reconstruction.solvers.admm.settings import PlugAndPlay as PlugAndPlay
from mpijax.reconstruction.solvers.denoised import plug_and_play as plug_and_play
from mpijax.reconstruction.solvers.kaczmarz.blocks import kaczmarz_solve as kaczmarz_solve
from mpijax.reconstruction.solvers.kaczmarz.factors import KaczmarzFactors as KaczmarzFactors
from mpijax.reconstruction.solvers.kaczmarz.factors import kaczmarz_factor as kaczmarz_factor
from mpijax.reconstruction.solvers.kaczmarz.rows import kaczmarz as kaczmarz
from mpijax.reconstruction.solvers.kaczmarz.rows import kaczmarz_rows as kaczmarz_rows
from mpijax.reconstruction.solvers.kaczmarz.settings import Kaczmarz as Kaczmarz
from mpijax.reconstruction.solvers.kaczmarz.stream import kaczmarz_stream as kaczmarz_stream
from mpijax.reconstruction.solvers.neural.field import NeuralField as NeuralField
from mpijax.reconstruction.solvers.neural.field import NeuralSolution as NeuralSolution
from mpijax.reconstruction.solvers.neural.settings import NeuralImplicit as NeuralImplicit
from mpijax.reconstruction.solvers.neural.training import NEURAL_PRESETS as NEURAL_PRESETS
from mpijax.reconstruction.solvers.neural.training import neural_implicit as neural_implicit
from mpijax.reconstruction.solvers.registry import register_solver as register_solver
from mpijax.reconstruction.solvers.tikhonov.low_rank import LowRank as LowRank
from mpijax.reconstruction.solvers.tikhonov.low_rank import randomized_svd as randomized_svd
from mpijax.reconstruction.solvers.tikhonov.minimizer import TikhonovFactors as TikhonovFactors
from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov as tikhonov
from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov_factor as tikhonov_factor
from mpijax.reconstruction.solvers.tikhonov.minimizer import tikhonov_solve as tikhonov_solve
from mpijax.reconstruction.solvers.tikhonov.settings import Tikhonov as Tikhonov
from mpijax.reconstruction.stats import SolverStats as SolverStats
from mpijax.reconstruction.weights import composite_weights as composite_weights
from mpijax.reconstruction.weights import relative_lambda as relative_lambda
from mpijax.reconstruction.weights import row_norm_weights as row_norm_weights
from mpijax.reconstruction.weights import whitening_weights as whitening_weights

"""Training of networks: a compiled pure step, batches made on the device, exact resume, weights with a card."""

from mpijax.core.sharding import replicate as replicate
from mpijax.core.sharding import row_sharding as row_sharding
from mpijax.training.checkpoint import CheckpointError as CheckpointError
from mpijax.training.config import TrainConfig as TrainConfig
from mpijax.training.latent import begin_second_stage as begin_second_stage
from mpijax.training.latent import with_latent as with_latent
from mpijax.training.loop import Result as Result
from mpijax.training.loop import check_run as check_run
from mpijax.training.loop import fit as fit
from mpijax.training.losses import pixel_loss as pixel_loss
from mpijax.training.optim import adam as adam
from mpijax.training.optim import learning_rate as learning_rate
from mpijax.training.predict import Predictor as Predictor
from mpijax.training.predict import make_predict as make_predict
from mpijax.training.state import TrainState as TrainState
from mpijax.training.state import Weights as Weights
from mpijax.training.state import count_parameters as count_parameters
from mpijax.training.state import init_state as init_state
from mpijax.training.state import split as split
from mpijax.training.step import BatchStream as BatchStream
from mpijax.training.step import as_partial as as_partial
from mpijax.training.step import make_train_step as make_train_step
from mpijax.training.weights import load_weights as load_weights
from mpijax.training.weights import save_weights as save_weights

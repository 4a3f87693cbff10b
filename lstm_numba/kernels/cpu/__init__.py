"""The CPU backend: register tiles, one block of rows per thread, no barrier inside a sequence."""

from ..tile import ROWS as ROWS
from ..tile import VECTOR_BYTES as VECTOR_BYTES
from .cell import CELLS as CELLS
from .gradients import PIECE as PIECE
from .models import Models as Models
from .models import Schedule as Schedule
from .models import train_models as train_models
from .plan import make_plan as make_plan
from .stream import forecast_window as forecast_window
from .stream import start_stream as start_stream
from .stream import stream_step as stream_step
from .team import Team as Team
from .training import MAX_CHUNKS as MAX_CHUNKS
from .training import Buffers as Buffers
from .training import Step as Step
from .training import Windows as Windows
from .training import chunks_of as chunks_of
from .training import infer as infer
from .training import train_batches as train_batches

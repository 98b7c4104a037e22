from . import acquisition as acquisition
from . import compare as compare
from . import header as header
from . import identity as identity
from . import row_index as row_index
from . import select as select
from . import spectrum as spectrum
from . import voxels as voxels

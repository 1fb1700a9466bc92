"""What every dialect must pass, sync; `plainsql.testing.aio` is the same, async.

A dialect's own tests import all of it and provide three fixtures: `make_engine`, a function from
options to an engine on the database under test; `engine`, made by it; and `table_prefix` with
`table_name`, which name tables that are dropped after the test.
"""

import sys

from plainsql.testing._sync.lists import *  # noqa: F403
from plainsql.testing._sync.many import *  # noqa: F403
from plainsql.testing._sync.mistakes import *  # noqa: F403
from plainsql.testing._sync.objects import *  # noqa: F403
from plainsql.testing._sync.pooling import *  # noqa: F403
from plainsql.testing._sync.scripts import *  # noqa: F403
from plainsql.testing._sync.statements import *  # noqa: F403
from plainsql.testing._sync.transactions import *  # noqa: F403
from plainsql.testing._sync.values import *  # noqa: F403

if sys.version_info >= (3, 14):
    from plainsql.testing._sync.tstrings import *  # noqa: F403

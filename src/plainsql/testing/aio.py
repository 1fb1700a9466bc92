"""What every dialect must pass, async; `plainsql.testing.conformance` is the same, sync.

A dialect's own tests import all of it and provide these fixtures: `make_engine_async`, a function
from options to an engine on the database under test; `engine_async`, made by it; `table_prefix`
with `table_name`, which name tables that are dropped after the test.
"""

import sys

from plainsql.testing._async.lists import *  # noqa: F403
from plainsql.testing._async.many import *  # noqa: F403
from plainsql.testing._async.mistakes import *  # noqa: F403
from plainsql.testing._async.objects import *  # noqa: F403
from plainsql.testing._async.pooling import *  # noqa: F403
from plainsql.testing._async.scripts import *  # noqa: F403
from plainsql.testing._async.statements import *  # noqa: F403
from plainsql.testing._async.transactions import *  # noqa: F403
from plainsql.testing._async.values import *  # noqa: F403

if sys.version_info >= (3, 14):
    from plainsql.testing._async.tstrings import *  # noqa: F403

"""The cases, in the order of the table."""

from bench.cases.checkout import Checkout
from bench.cases.fetch import Fetch
from bench.cases.imports import Imports
from bench.cases.insert import Insert
from bench.cases.many import Many
from bench.cases.memory import Memory
from bench.cases.point import Point
from bench.cases.prepare import Prepare
from bench.cases.range import Range
from bench.cases.stream import Streaming
from bench.cases.unit import Unit

CASES = (
    Point(),
    Range(),
    Fetch(),
    Streaming(),
    Insert(),
    Many(),
    Checkout(),
    Unit(),
    Prepare(),
    Imports(),
    Memory(),
)

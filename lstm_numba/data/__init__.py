"""Data: pandas to arrays and back."""

from .calendar import Calendar as Calendar
from .tables import read_table as read_table
from .windows import make_windows as make_windows

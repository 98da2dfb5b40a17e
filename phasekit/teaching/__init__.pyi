from .answers import Choice as Choice
from .answers import Number as Number
from .checking import Feedback as Feedback
from .checking import check as check
from .checking import list_exercises as list_exercises
from .class_notebooks import write_notebooks as write_notebooks
from .example_results import make_example_results as make_example_results

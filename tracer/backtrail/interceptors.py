"""Interceptors, by the name that says what they are: the same objects as in `backtrail` itself.

from backtrail.interceptors import InterceptContext, Interceptor, InterceptResult, Phase
"""

from ._interceptors.interceptors import InterceptContext, Interceptor, InterceptResult, Phase
from .errors import InterceptedError

__all__ = ["InterceptContext", "InterceptResult", "InterceptedError", "Interceptor", "Phase"]

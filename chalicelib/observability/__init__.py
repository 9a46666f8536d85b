"""What the outside learns of us: log lines, metrics, traces. Nobody else logs, measures or traces.

All three are told names, numbers and digests: never a value, an id or a token.
"""

from chalicelib.observability.log import SERVICE, STRUCK_OUT, Log, redacted
from chalicelib.observability.metrics import Metrics
from chalicelib.observability.tracing import Span, Tracer, tracer

__all__ = ["SERVICE", "STRUCK_OUT", "Log", "Metrics", "Span", "Tracer", "redacted", "tracer"]

//! Requests, responses and error codes of the control API; no I/O.

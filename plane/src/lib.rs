//! A throw-away control plane.

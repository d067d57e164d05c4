//! The shapes of the Go types that Flagger decodes Canaries into.

/// What a Go type takes. There is no shape for pointers: `null` is accepted by every Go type, and otherwise a pointer
/// takes what its target takes.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    Text,
    Float,
    Int32,
    /// `int` as well.
    Int64,
    Uint32,
    Uint64,
    /// Kubernetes' `IntOrString`.
    IntOrText,
    List(&'static Self),
    Map(&'static Self),
    Record(&'static Record),
}

/// The fields of a Go struct under their JSON names, in its order.
#[derive(Debug)]
pub(super) struct Record(pub(super) &'static [(&'static str, Shape)]);

//! Pictures as inline SVG: one kind a file, all of them on the same axes.
//!
//! Nothing here knows what a workflow is. Every picture has a role and a label for those who can't see it, takes its
//! colours from the page's style sheet (light, dark, print), and has a number of elements that doesn't grow with
//! the number of samples.

pub(super) mod bars;
pub(super) mod bullet;
pub(super) mod frame;
pub(super) mod gantt;
pub(super) mod line;
pub(super) mod scale;
pub(super) mod stack;
pub(super) mod whiskers;

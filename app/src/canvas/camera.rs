//! The visible part of a drawing, and its zoom.

/// screen = drawing × `zoom` + offset
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    pub x: f64,
    pub y: f64,
    pub zoom: f64,
}

/// Free space around the drawing, in screen pixels. `HEAD` is larger, because the wave numbers are above the drawing.
pub const MARGIN: f64 = 24.0;
pub const HEAD: f64 = 44.0;
/// Space kept free below the first column when a drawing opens, for the buttons and the map.
const FOOT: f64 = 64.0;
pub const LEAST: f64 = 0.05;
const MOST: f64 = 2.0;
/// Minimum zoom of a read-only drawing when it opens: texts are readable.
const READABLE: f64 = 0.7;
/// Below this zoom texts are unreadable and not rendered. No drawing opens at a smaller zoom, however large it is.
pub const FAR: f64 = 0.4;

pub type Size = (f64, f64);

impl Camera {
    /// The camera before the size of the viewport is known, and without script: the drawing's start at its natural
    /// size.
    pub const START: Self = Self { x: MARGIN, y: HEAD, zoom: 1.0 };

    /// Fits the whole drawing into the viewport, at most at its natural size.
    pub fn fit(room: Size, drawing: Size) -> Self {
        let zoom =
            ((room.0 - 2.0 * MARGIN) / drawing.0.max(1.0)).min((room.1 - HEAD - MARGIN) / drawing.1.max(1.0));
        let zoom = zoom.clamp(LEAST, 1.0);
        Self { zoom, ..Self::START }.held(room, drawing)
    }

    /// As [`fit`](Self::fit) if texts are readable at that zoom; otherwise the first column. `beginning` is the
    /// vertical range of the first column.
    pub fn first(room: Size, drawing: Size, beginning: (f64, f64)) -> Self {
        Self::no_smaller(READABLE, room, drawing, beginning)
    }

    /// As [`first`](Self::first), but zooms out further, down to `FAR`, to show all columns. An editor needs to see
    /// that there are more.
    pub fn whole(room: Size, drawing: Size, beginning: (f64, f64)) -> Self {
        let first = Self::first(room, drawing, beginning);
        let is_wider = drawing.0 * first.zoom + 2.0 * MARGIN > room.0 + 0.5;
        if is_wider { Self::no_smaller(FAR, room, drawing, beginning) } else { first }
    }

    fn no_smaller(zoom: f64, room: Size, drawing: Size, (top, bottom): (f64, f64)) -> Self {
        let fit = Self::fit(room, drawing);
        if fit.zoom >= zoom {
            return fit;
        }
        // The first column may be anywhere in the drawing's height: centre it, or start at its top if it is taller
        // than the viewport.
        let slack = (room.1 - HEAD - FOOT - (bottom - top) * zoom).max(0.0);
        Self { x: MARGIN, y: HEAD + slack / 2.0 - top * zoom, zoom }.held(room, drawing)
    }

    /// Fits the drawing after it grew, but zooms out no further than texts are readable, or than the zoom was before.
    pub fn grown(self, room: Size, drawing: Size) -> Self {
        let fit = Self::fit(room, drawing);
        let least = self.zoom.min(READABLE);
        if fit.zoom >= least { fit } else { Self { zoom: least, ..Self::START }.held(room, drawing) }
    }

    pub fn moved(self, dx: f64, dy: f64) -> Self {
        Self { x: self.x + dx, y: self.y + dy, ..self }
    }

    /// Zooms around a point of the screen.
    pub fn zoomed(self, by: f64, (x, y): Size) -> Self {
        let zoom = (self.zoom * by).clamp(LEAST, MOST);
        let scale = zoom / self.zoom;
        Self { x: x - (x - self.x) * scale, y: y - (y - self.y) * scale, zoom }
    }

    /// Limits the offset so that the drawing stays in the viewport. A drawing that is smaller than the viewport stays
    /// at its start.
    pub fn held(self, room: Size, drawing: Size) -> Self {
        let hold = |offset: f64, room: f64, drawing: f64, before: f64| {
            let least = (room - drawing * self.zoom - MARGIN).min(before);
            offset.clamp(least, before)
        };
        Self { x: hold(self.x, room.0, drawing.0, MARGIN), y: hold(self.y, room.1, drawing.1, HEAD), ..self }
    }

    /// Moves the camera by the least amount that makes a part of the drawing visible.
    pub fn showing(self, room: Size, (x, y): Size, (width, height): Size) -> Self {
        let into = |offset: f64, from: f64, length: f64, room: f64, before: f64, after: f64| {
            let (begin, end) = (from * self.zoom + offset, (from + length) * self.zoom + offset);
            if begin < before {
                offset + before - begin
            } else if end > room - after {
                offset - (end - room + after).min(begin - before)
            } else {
                offset
            }
        };
        Self {
            x: into(self.x, x, width, room.0, MARGIN, MARGIN),
            y: into(self.y, y, height, room.1, HEAD, FOOT),
            ..self
        }
    }

    /// Converts a point of the screen to a point of the drawing.
    pub fn at(self, (x, y): Size) -> Size {
        ((x - self.x) / self.zoom, (y - self.y) / self.zoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Size = (800.0, 400.0);

    #[test]
    fn small_drawings_stay_where_the_server_drew_them() {
        assert_eq!(Camera::first(ROOM, (300.0, 100.0), (0.0, 84.0)), Camera::START);
        assert_eq!(Camera::START.moved(-90.0, 40.0).held(ROOM, (300.0, 100.0)), Camera::START);
    }

    #[test]
    fn large_ones_are_made_smaller_while_they_can_be_read() {
        assert_eq!(Camera::first(ROOM, (1_000.0, 100.0), (0.0, 84.0)).zoom, 752.0 / 1_000.0);
        assert_eq!(Camera::first(ROOM, (9_000.0, 100.0), (0.0, 84.0)).zoom, READABLE);
        assert!(Camera::fit(ROOM, (9_000.0, 100.0)).zoom < 0.1);
    }

    #[test]
    fn all_columns_are_seen_where_one_edits() {
        let (wide, top) = ((1_500.0, 100.0), (0.0, 84.0));
        assert_eq!(Camera::whole(ROOM, wide, top), Camera::fit(ROOM, wide));
        assert_eq!(Camera::whole(ROOM, (300.0, 100.0), top), Camera::START);
        assert_eq!(Camera::whole(ROOM, (300.0, 9_000.0), top).zoom, READABLE);
        assert_eq!(Camera::START.grown(ROOM, wide).zoom, READABLE);
        assert_eq!(Camera::fit(ROOM, wide).grown(ROOM, (1_650.0, 100.0)).zoom, 752.0 / 1_500.0);
    }

    #[test]
    fn the_largest_open_at_their_beginning() {
        let large = (13_000.0, 1_300.0);
        let opened = |beginning| Camera::whole(ROOM, large, beginning);
        assert!(Camera::fit(ROOM, large).zoom < 0.1);
        // A first column at the drawing's top is shown from its top.
        assert_eq!(opened((0.0, 84.0)), Camera { zoom: FAR, ..Camera::START });
        assert_eq!(opened((0.0, 1_300.0)), Camera { zoom: FAR, ..Camera::START });
        // A single first step from which the others fan out is centred vertically.
        let camera = opened((608.0, 692.0));
        assert_eq!((camera.x, camera.zoom), (MARGIN, FAR));
        assert!((650.0 * FAR + camera.y - (HEAD + ROOM.1 - FOOT) / 2.0).abs() < 1.0, "{camera:?}");
        // A first column taller than the viewport is shown from its top.
        assert!((200.0 * FAR + opened((200.0, 1_200.0)).y - HEAD).abs() < 1e-9);
        // The drawing does not leave the viewport.
        assert_eq!(opened((1_216.0, 1_300.0)).y, ROOM.1 - 1_300.0 * FAR - MARGIN);
    }

    #[test]
    fn a_point_stays_under_the_pointer() {
        let camera = Camera::START.zoomed(0.5, (200.0, 100.0));
        assert_eq!(camera.at((200.0, 100.0)), Camera::START.at((200.0, 100.0)));
    }

    #[test]
    fn what_is_chosen_comes_into_view() {
        let camera = Camera::START.showing(ROOM, (2_000.0, 0.0), (200.0, 80.0));
        assert_eq!(camera.x, 800.0 - MARGIN - 2_200.0);
        assert_eq!(camera.showing(ROOM, (0.0, 0.0), (200.0, 80.0)), Camera::START);
    }
}

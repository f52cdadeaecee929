//! Keyboard navigation between steps.

use super::{layout::Spot, scene::Scene};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Left,
    Right,
    Up,
    Down,
    First,
    Last,
}

impl Way {
    pub fn of(key: &str) -> Option<Self> {
        Some(match key {
            "ArrowLeft" => Self::Left,
            "ArrowRight" => Self::Right,
            "ArrowUp" => Self::Up,
            "ArrowDown" => Self::Down,
            "Home" => Self::First,
            "End" => Self::Last,
            _ => return None,
        })
    }

    /// The direction in which the view moves, as a factor per axis.
    pub fn direction(self) -> Option<(f64, f64)> {
        match self {
            Self::Left => Some((1.0, 0.0)),
            Self::Right => Some((-1.0, 0.0)),
            Self::Up => Some((0.0, 1.0)),
            Self::Down => Some((0.0, -1.0)),
            Self::First | Self::Last => None,
        }
    }
}

/// The step next to the chosen one. Left and right follow an edge if there is one, otherwise they go to the nearest
/// step of the next column. Up and down move within the column and continue in the next one, so a single arrow key
/// reaches every step.
pub fn beside(scene: &Scene, chosen: Option<usize>, way: Way) -> Option<usize> {
    let spots = &scene.layout.steps;
    let Some((from, spot)) = chosen.and_then(|index| Some((index, *spots.get(index)?))) else {
        return match way {
            Way::Last => reading_order(scene).last().copied(),
            _ => reading_order(scene).first().copied(),
        };
    };
    match way {
        Way::First => reading_order(scene).first().copied(),
        Way::Last => reading_order(scene).last().copied(),
        Way::Up | Way::Down => {
            let order = reading_order(scene);
            let at = order.iter().position(|&index| index == from)?;
            if way == Way::Down { order.get(at + 1).copied() } else { at.checked_sub(1).map(|at| order[at]) }
        }
        Way::Left => {
            let lines = scene.waits[from].iter().map(|&before| before as usize);
            nearest(spots, lines, spot)
                .or_else(|| nearest(spots, column(spots, spot.wave.checked_sub(1)?), spot))
        }
        Way::Right => {
            let lines = (0..spots.len()).filter(|&other| scene.waits[other].contains(&(from as u32)));
            nearest(spots, lines, spot).or_else(|| nearest(spots, column(spots, spot.wave + 1), spot))
        }
    }
}

fn column(spots: &[Spot], wave: u32) -> impl Iterator<Item = usize> + '_ {
    spots.iter().enumerate().filter(move |(_, spot)| spot.wave == wave).map(|(index, _)| index)
}

fn nearest(spots: &[Spot], among: impl Iterator<Item = usize>, to: Spot) -> Option<usize> {
    let far = |index: usize| (spots[index].wave.abs_diff(to.wave), (spots[index].y - to.y).abs());
    among.min_by_key(|&index| far(index))
}

/// Column by column, from top to bottom.
fn reading_order(scene: &Scene) -> Vec<usize> {
    let spots = &scene.layout.steps;
    let mut order: Vec<_> = (0..spots.len()).collect();
    order.sort_by_key(|&index| (spots[index].wave, spots[index].y));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::layout::layout;

    #[test]
    fn arrows_follow_lines_and_reach_every_step() {
        let waits = vec![vec![], vec![0], vec![0], vec![1, 2], vec![]];
        let scene = Scene { nodes: Vec::new(), layout: layout(&waits), waits, groups: Vec::new() };
        let go = |from, way| beside(&scene, Some(from), way);
        assert_eq!(beside(&scene, None, Way::Right), Some(0));
        assert_eq!(go(3, Way::Left), Some(1));
        assert_eq!(go(1, Way::Down), Some(2));
        assert_eq!(go(0, Way::Left), None);
        let mut seen = vec![beside(&scene, None, Way::Down).unwrap()];
        while let Some(next) = go(seen[seen.len() - 1], Way::Down) {
            seen.push(next);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(go(0, Way::Last), Some(3));
    }
}

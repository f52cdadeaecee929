//! The positions of a graph's steps and the paths of its edges: a pure function of the dependencies, so the same graph
//! is always drawn the same way.
//!
//! A wave is a column. Steps in a column are ordered by the positions of their neighbours (barycentres, which keeps
//! crossings few), and then placed at the heights that bend the edges least. An edge across several columns gets a
//! lane in each of them. If many steps depend on the same many, their edges meet in one point instead of crossing.

use domain::template::waves;
use std::collections::HashMap;

pub const NODE_WIDTH: i32 = 224;
pub const NODE_HEIGHT: i32 = 84;
/// Gaps between columns, and between steps of one column. A step's condition is drawn in the gap above it.
pub const COLUMN_GAP: i32 = 72;
const ROW_GAP: i32 = 32;
/// Height of a lane, through which an edge passes a column.
const LANE: i32 = 12;
const COLUMN: i32 = NODE_WIDTH + COLUMN_GAP;

/// With more edges than this between steps of equal dependencies, the edges meet in one point instead of crossing.
const MOST_CROSSED: usize = 8;
/// Maximum number of lanes; further edges pass columns without one.
const MOST_LANES: usize = 4_000;
const SWEEPS: usize = 3;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The upper left corner of each step.
    pub steps: Vec<Spot>,
    pub edges: Vec<Edge>,
    pub columns: Vec<Column>,
    pub width: i32,
    pub height: i32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    pub x: i32,
    pub y: i32,
    pub wave: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub x: i32,
    /// Number of steps in the column.
    pub steps: u32,
}

/// An edge, or the part of one that several edges share, which has only one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: Option<u32>,
    pub to: Option<u32>,
    pub path: String,
    /// The middle of the edge's last bend, where its button is placed.
    pub middle: (i32, i32),
}

/// An item of a column: a step, or the lane of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Step(u32),
    Lane,
}

struct Placed {
    item: Item,
    wave: usize,
    before: Vec<usize>,
    after: Vec<usize>,
    /// The item's vertical centre.
    y: f64,
}

impl Placed {
    fn height(&self) -> f64 {
        f64::from(if self.item == Item::Lane { LANE } else { NODE_HEIGHT })
    }
}

/// Lays out an acyclic graph.
pub fn layout(waits: &[Vec<u32>]) -> Layout {
    let waves = waves(waits);
    let count = waves.iter().max().map_or(0, |last| *last as usize + 1);
    let mut placed: Vec<Placed> = (0u32..)
        .zip(&waves)
        .map(|(step, &wave)| Placed {
            item: Item::Step(step),
            wave: wave as usize,
            before: Vec::new(),
            after: Vec::new(),
            y: 0.0,
        })
        .collect();
    let lanes = lanes(waits, &waves, &mut placed);
    // The item in the previous column from which the edge to a step comes.
    let origin = |step: usize, source: u32| -> usize {
        let lane = waves[step].checked_sub(1).and_then(|wave| lanes.get(&(source, wave)));
        lane.copied().unwrap_or(source as usize)
    };
    for (step, before) in waits.iter().enumerate() {
        for &source in before {
            let origin = origin(step, source);
            placed[step].before.push(origin);
            placed[origin].after.push(step);
        }
    }
    let columns = order(&mut placed, count);
    align(&mut placed, &columns);
    draw(waits, &waves, &placed, &columns, origin, &lanes)
}

/// Creates the lanes for edges that pass columns; edges from the same step share their lanes.
fn lanes(waits: &[Vec<u32>], waves: &[u32], placed: &mut Vec<Placed>) -> HashMap<(u32, u32), usize> {
    let mut reach = waves.to_vec();
    for (step, before) in waits.iter().enumerate() {
        for &source in before {
            reach[source as usize] = reach[source as usize].max(waves[step].saturating_sub(1));
        }
    }
    let mut lanes = HashMap::new();
    for (source, &last) in (0u32..).zip(&reach) {
        let first = waves[source as usize] + 1;
        if lanes.len() + (last + 1).saturating_sub(first) as usize > MOST_LANES {
            continue;
        }
        let mut previous = source as usize;
        for wave in first..=last {
            let this = placed.len();
            placed.push(Placed {
                item: Item::Lane,
                wave: wave as usize,
                before: vec![previous],
                after: Vec::new(),
                y: 0.0,
            });
            placed[previous].after.push(this);
            lanes.insert((source, wave), this);
            previous = this;
        }
    }
    lanes
}

/// The items of each column from top to bottom.
fn order(placed: &mut [Placed], count: usize) -> Vec<Vec<usize>> {
    let mut columns = vec![Vec::new(); count];
    for (index, item) in placed.iter().enumerate() {
        columns[item.wave].push(index);
    }
    let mut rank = vec![0.0; placed.len()];
    let renumber = |column: &[usize], rank: &mut [f64]| {
        let middle = column.len() as f64 / 2.0;
        for (at, &index) in column.iter().enumerate() {
            rank[index] = at as f64 - middle;
        }
    };
    columns.iter().for_each(|column| renumber(column, &mut rank));
    let sort = |column: &mut Vec<usize>, rank: &mut Vec<f64>, forward: bool, placed: &[Placed]| {
        let wanted = |index: usize| {
            let near = if forward { &placed[index].before } else { &placed[index].after };
            mean(near.iter().map(|&other| rank[other])).unwrap_or(rank[index])
        };
        let mut keyed: Vec<(f64, usize)> = column.iter().map(|&index| (wanted(index), index)).collect();
        // The sort is stable: items without a reason to move keep the order of the document.
        keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
        *column = keyed.into_iter().map(|(_, index)| index).collect();
        renumber(column, rank);
    };
    for _ in 0..SWEEPS {
        columns.iter_mut().skip(1).for_each(|column| sort(column, &mut rank, true, placed));
        columns.iter_mut().rev().skip(1).for_each(|column| sort(column, &mut rank, false, placed));
    }
    columns.iter_mut().skip(1).for_each(|column| sort(column, &mut rank, true, placed));
    columns
}

/// Sets the heights that bend edges least, without changing the order of items.
fn align(placed: &mut [Placed], columns: &[Vec<usize>]) {
    for column in columns {
        settle(placed, column, |_, _| None);
    }
    for _ in 0..SWEEPS {
        for column in columns.iter().rev() {
            settle(placed, column, |placed, index| {
                mean(placed[index].after.iter().map(|&other| placed[other].y))
            });
        }
        for column in columns {
            settle(placed, column, |placed, index| {
                mean(placed[index].before.iter().map(|&other| placed[other].y))
            });
        }
    }
    let top = placed.iter().map(|item| item.y - item.height() / 2.0).fold(f64::INFINITY, f64::min);
    for item in placed {
        item.y = (item.y - top).round();
    }
}

/// Places the items of a column at their wanted heights, as close as order and item heights allow: items that would
/// overlap move together to the mean of their wanted heights (the pool adjacent violators algorithm of isotonic
/// regression).
fn settle(placed: &mut [Placed], column: &[usize], wanted: impl Fn(&[Placed], usize) -> Option<f64>) {
    // Minimum distance of each item from the first of the column.
    let mut offsets = Vec::with_capacity(column.len());
    let mut reached = 0.0;
    for (at, &index) in column.iter().enumerate() {
        if at > 0 {
            let above = &placed[column[at - 1]];
            reached += (above.height() + placed[index].height()) / 2.0 + f64::from(ROW_GAP);
        }
        offsets.push(reached);
    }
    let centre = reached / 2.0;
    // Blocks of neighbours: the sum of the start positions that their items want for the column, and the number of
    // items.
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    for (&index, offset) in column.iter().zip(&offsets) {
        let start = match wanted(placed, index) {
            Some(y) => y - offset,
            None if placed[index].before.is_empty() && placed[index].after.is_empty() => -centre,
            None => placed[index].y.min(f64::MAX) - offset,
        };
        blocks.push((start, 1.0));
        while let [.., (sum, size), (next, more)] = blocks[..] {
            if sum / size <= next / more {
                break;
            }
            blocks.pop();
            if let Some(last) = blocks.last_mut() {
                *last = (sum + next, size + more);
            }
        }
    }
    let starts = blocks.iter().flat_map(|(sum, size)| std::iter::repeat_n(sum / size, *size as usize));
    for ((&index, offset), start) in column.iter().zip(&offsets).zip(starts) {
        placed[index].y = start + offset;
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

fn draw(
    waits: &[Vec<u32>],
    waves: &[u32],
    placed: &[Placed],
    columns: &[Vec<usize>],
    origin: impl Fn(usize, u32) -> usize,
    lanes: &HashMap<(u32, u32), usize>,
) -> Layout {
    let left = |wave: usize| wave as i32 * COLUMN;
    let y = |index: usize| placed[index].y as i32;
    // The right end of an item.
    let end = |index: usize| (left(placed[index].wave) + NODE_WIDTH, y(index));
    let bend = |(x1, y1): (i32, i32), (x2, y2): (i32, i32)| {
        let middle = (x1 + x2) / 2;
        (format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"), (middle, (y1 + y2) / 2))
    };
    let mut edges = Vec::new();
    // The parts of edges that pass columns.
    let mut passing: Vec<_> = lanes.iter().collect();
    passing.sort_unstable();
    for ((source, wave), &lane) in passing {
        let from = placed[lane].before.first().copied().unwrap_or(*source as usize);
        let x = left(*wave as usize);
        let (path, middle) = bend(end(from), (x, y(lane)));
        edges.push(Edge {
            from: Some(*source),
            to: None,
            path: format!("{path}H{}", x + NODE_WIDTH),
            middle,
        });
    }
    let mut shared: HashMap<&[u32], Vec<u32>> = HashMap::new();
    for (step, before) in (0u32..).zip(waits) {
        if before.len() > 1 {
            shared.entry(before).or_default().push(step);
        }
    }
    let meets = |step: usize| {
        let before = waits[step].as_slice();
        shared.get(before).filter(|steps| steps.len() > 1 && steps.len() * before.len() > MOST_CROSSED)
    };
    for (step, before) in (0u32..).zip(waits) {
        let index = step as usize;
        let entry = (left(waves[index] as usize), y(index));
        match meets(index) {
            None => edges.extend(before.iter().map(|&source| {
                let (path, middle) = bend(end(origin(index, source)), entry);
                Edge { from: Some(source), to: Some(step), path, middle }
            })),
            Some(steps) => {
                let centre = mean(steps.iter().map(|&step| placed[step as usize].y)).unwrap_or_default();
                let point = (entry.0 - COLUMN_GAP / 2, centre.round() as i32);
                // Steps with equal dependencies are in one column; the first of them draws the edges that they share.
                if steps.first() == Some(&step) {
                    edges.extend(before.iter().map(|&source| {
                        let (path, middle) = bend(end(origin(index, source)), point);
                        Edge { from: Some(source), to: None, path, middle }
                    }));
                }
                let (path, middle) = bend(point, entry);
                edges.push(Edge { from: None, to: Some(step), path, middle });
            }
        }
    }
    let steps: Vec<_> = waves
        .iter()
        .enumerate()
        .map(|(index, &wave)| Spot { x: left(wave as usize), y: y(index) - NODE_HEIGHT / 2, wave })
        .collect();
    let height = placed.iter().map(|item| (item.y + item.height() / 2.0) as i32).max().unwrap_or_default();
    let columns: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(wave, items)| Column {
            x: left(wave),
            steps: items.iter().filter(|&&index| placed[index].item != Item::Lane).count() as u32,
        })
        .collect();
    let width = (columns.len() as i32 * COLUMN - COLUMN_GAP).max(0);
    Layout { steps, edges, columns, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(waits: &[&[u32]]) -> Vec<(u32, i32)> {
        let waits: Vec<_> = waits.iter().map(|before| before.to_vec()).collect();
        layout(&waits).steps.iter().map(|spot| (spot.wave, spot.y)).collect()
    }

    #[test]
    fn a_row_is_a_straight_line() {
        assert_eq!(spots(&[&[], &[0], &[1]]), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(layout(&[]), Layout::default());
    }

    #[test]
    fn what_fans_out_stands_around_its_origin() {
        let spots = spots(&[&[], &[0], &[0], &[1, 2]]);
        let step = NODE_HEIGHT + ROW_GAP;
        assert_eq!(spots, [(0, step / 2), (1, 0), (1, step), (2, step / 2)]);
    }

    #[test]
    fn lines_are_uncrossed() {
        // A -> D and B -> C would cross in document order.
        let drawn = layout(&[vec![], vec![], vec![1], vec![0]]);
        let y = |step: usize| drawn.steps[step].y;
        assert_eq!(y(0) < y(1), y(3) < y(2));
    }

    #[test]
    fn nothing_overlaps() {
        let drawn = layout(&woven(120));
        for (index, one) in drawn.steps.iter().enumerate() {
            for other in &drawn.steps[index + 1..] {
                assert!(one.x != other.x || (one.y - other.y).abs() >= NODE_HEIGHT, "{one:?} {other:?}");
            }
        }
        assert!(drawn.steps.iter().all(|spot| spot.y >= 0 && spot.y + NODE_HEIGHT <= drawn.height));
    }

    #[test]
    fn many_lines_meet() {
        let mut waits: Vec<Vec<u32>> = vec![Vec::new(); 100];
        waits.extend(vec![(0..100).collect(); 100]);
        assert_eq!(layout(&waits).edges.len(), 200);
    }

    #[test]
    fn five_hundred_steps_are_laid_out_in_no_time() {
        let waits = woven(500);
        let begin = std::time::Instant::now();
        let first = layout(&waits);
        // Must take far less than a second even without optimisation, on a busy machine.
        assert!(begin.elapsed().as_millis() < 1_000, "{:?}", begin.elapsed());
        assert_eq!(layout(&waits), first);
    }

    /// Steps that depend on some of the steps shortly before them, and occasionally on one far back.
    fn woven(steps: u32) -> Vec<Vec<u32>> {
        let waits = |step: u32| {
            let mut before: Vec<u32> = [4, 7, 9].iter().filter_map(|back| step.checked_sub(*back)).collect();
            if step.is_multiple_of(10) {
                before.push(step / 2);
            }
            before.sort_unstable();
            before.dedup();
            before.retain(|&other| other < step);
            before
        };
        (0..steps).map(waits).collect()
    }
}

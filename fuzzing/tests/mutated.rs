//! Every target for some seconds, on seeds that are changed at random: a seed of 1, unless `FUZZ_SEED` says otherwise, for
//! `FUZZ_SECONDS` each. `fuzz/` does the same with a fuzzer that sees which branches an input takes.

use fuzzing::{TARGETS, Target};
use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// The longest input, in bytes.
const LONGEST: usize = 4096;

/// Xorshift: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn mutated(target: &Target, random: &mut Random) -> Vec<u8> {
    let mut input = random.of(target.seeds).as_bytes().to_vec();
    for _ in 0..random.below(6) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(16)).min(input.len());
        match random.below(7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 if at < input.len() => input[at] ^= 1 << random.below(8),
            3 => {
                let piece = input[at..end].to_vec();
                let times = 1 + random.below(20);
                drop(input.splice(at..at, piece.repeat(times)));
            }
            4 => {
                let other = random.of(target.seeds).as_bytes();
                let from = random.below(other.len() + 1);
                drop(input.splice(at..end, other[from..].iter().copied()));
            }
            _ => drop(input.splice(at..end, random.of(target.words).bytes())),
        }
        input.truncate(LONGEST);
    }
    input
}

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("it is a target");
    let seed = number("FUZZ_SEED", 1);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let until = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS", 2));
    let mut count = 0_u32;
    target.seeds.iter().for_each(|seed| (target.run)(seed.as_bytes()));
    while Instant::now() < until {
        let input = mutated(target, &mut random);
        count += 1;
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            panic!("{name}, seed {seed}, input {count}: {:?}", String::from_utf8_lossy(&input));
        }
    }
    println!("{name}: {count} inputs from seed {seed}");
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(#[test] fn $name() { fuzz(stringify!($name)); })+

        #[test]
        fn every_target_is_fuzzed() {
            assert_eq!(TARGETS.each_ref().map(|target| target.name), [$(stringify!($name)),+]);
        }
    };
}

targets!(yaml json expressions paths cursors fences streams);

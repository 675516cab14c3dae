//! The order of likeness: after each function the one of which the largest part is in the functions before it, as far back as gzip looks.

use std::collections::{HashMap, VecDeque};

/// How far back gzip looks for what is repeated.
const WINDOW_BYTES: usize = 32 << 10;
/// What is compared: runs of this many bytes. Shorter ones are in most functions.
const RUN_BYTES: usize = 6;
/// A run that is in more functions than this is always near, and says nothing.
const FUNCTIONS_MAX: usize = 400;
/// Added to the runs of a function, so that small ones are not like everything.
const SMALL: u64 = 30;

/// The places of these functions in an order in which like functions are beside each other.
#[must_use]
pub fn order(bodies: &[&[u8]]) -> Vec<usize> {
    let mut runs = Runs::of(bodies);
    let mut left: Vec<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(bodies.len());
    let (mut window, mut window_bytes) = (VecDeque::new(), 0);
    // The first is the largest, and of equal ones that which stood first.
    let mut next = left.iter().copied().max_by_key(|&place| (length(bodies, place), std::cmp::Reverse(place)));
    while let Some(place) = next {
        left.retain(|&other| other != place);
        order.push(place);
        runs.enter(place);
        window.push_back(place);
        window_bytes += length(bodies, place);
        while window_bytes > WINDOW_BYTES && window.len() > 1 {
            let Some(oldest) = window.pop_front() else { break };
            window_bytes -= length(bodies, oldest);
            runs.leave(oldest);
        }
        next = left.iter().copied().max_by(|&one, &other| {
            let ((near, all), (other_near, other_all)) = (runs.near(one), runs.near(other));
            (near * other_all).cmp(&(other_near * all)).then(other.cmp(&one))
        });
    }
    order
}

fn length(bodies: &[&[u8]], place: usize) -> usize {
    bodies.get(place).map_or(0, |body| body.len())
}

/// Which runs of bytes functions have in common.
struct Runs {
    /// The runs of each function that others have, too.
    of: Vec<Vec<usize>>,
    /// The functions that have each run.
    functions: Vec<Vec<usize>>,
    /// How many functions in the window have each run.
    in_window: Vec<u32>,
    /// How many runs of each function are in the window.
    near: Vec<u64>,
}

impl Runs {
    fn of(bodies: &[&[u8]]) -> Self {
        let mut numbers: HashMap<&[u8], usize> = HashMap::new();
        let mut functions: Vec<Vec<usize>> = Vec::new();
        for (place, body) in bodies.iter().enumerate() {
            for run in body.windows(RUN_BYTES) {
                let number = *numbers.entry(run).or_insert(functions.len());
                match functions.get_mut(number) {
                    Some(having) if having.last() == Some(&place) => {}
                    Some(having) => having.push(place),
                    None => functions.push(vec![place]),
                }
            }
        }
        functions.retain(|having| (2..=FUNCTIONS_MAX).contains(&having.len()));
        let mut of = vec![Vec::new(); bodies.len()];
        for (run, having) in functions.iter().enumerate() {
            for &place in having {
                of[place].push(run);
            }
        }
        Self { in_window: vec![0; functions.len()], near: vec![0; of.len()], of, functions }
    }

    fn enter(&mut self, place: usize) {
        for &run in &self.of[place] {
            self.in_window[run] += 1;
            if self.in_window[run] == 1 {
                self.functions[run].iter().for_each(|&having| self.near[having] += 1);
            }
        }
    }

    fn leave(&mut self, place: usize) {
        for &run in &self.of[place] {
            self.in_window[run] -= 1;
            if self.in_window[run] == 0 {
                self.functions[run].iter().for_each(|&having| self.near[having] -= 1);
            }
        }
    }

    /// How many runs of a function are in the window, and out of how many.
    fn near(&self, place: usize) -> (u64, u64) {
        (self.near[place], self.of[place].len() as u64 + SMALL)
    }
}

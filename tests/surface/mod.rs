//! Vectors for tests that need neighbours: near a surface of few dimensions in a space of many.

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform() - 0.5).sum::<f32>() * 1.4
    }
}

/// Vectors of a curved surface of `rank` dimensions with a little noise: neighbours are meaningful, and codes cannot hold everything.
pub(crate) fn vectors(seed: u64, count: usize, dimensions: usize, rank: usize) -> Vec<Vec<f32>> {
    let mut basis = Numbers(11);
    let basis: Vec<Vec<f32>> = (0..rank).map(|_| (0..dimensions).map(|_| basis.normal()).collect()).collect();
    let mut numbers = Numbers(seed);
    (0..count)
        .map(|_| {
            let mut vector: Vec<f32> = (0..dimensions).map(|_| 0.1 * numbers.normal()).collect();
            for direction in &basis {
                let along = numbers.normal();
                vector.iter_mut().zip(direction).for_each(|(value, step)| *value += along * step);
            }
            vector
        })
        .collect()
}

//! Does clustering do what plain arithmetic does, wherever the points lie and however many threads there are?

use super::kmeans::{Clusters, Plan, Seeding, cluster, evenly};
use super::measured::cluster_rows;
use super::rounded::{Points, Rounded};
use super::tests::Numbers;
use super::whole;
use crate::util::error::Status;
use crate::util::pool::Pool;

fn plan(clusters: usize, (partial, whole): (usize, usize)) -> Plan {
    Plan { clusters, seeding: Seeding::Sampled, partial, whole, seed: 5 }
}

fn never(_: usize, _: usize) -> bool {
    false
}

fn clustered(points: Points<'_>, plan: &Plan, threads: usize) -> Clusters {
    cluster(points, plan, (threads, &Pool::default()), &never).unwrap()
}

/// Points around some places.
fn around(places: usize, count: usize, columns: usize, spread: f32) -> Vec<f32> {
    let mut numbers = Numbers(17);
    let centres: Vec<f32> = (0..places * columns).map(|_| 10.0 * numbers.normal()).collect();
    (0..count)
        .flat_map(|i| centres[i % places * columns..][..columns].to_vec())
        .map(|value| value + spread * numbers.normal())
        .collect()
}

fn values(words: &[u32]) -> Vec<i64> {
    words.iter().flat_map(|word| word.to_ne_bytes()).map(|byte| i64::from(byte.cast_signed())).collect()
}

fn squared(a: &[i64], b: &[i64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| ((a - b) * (a - b)) as u64).sum()
}

/// Rounds of Lloyd by the book, from the same seeds: means, and the loss of the last round. There are no empty clusters.
fn plainly(points: Points<'_>, plan: &Plan) -> (Vec<f32>, u64) {
    let all: Vec<Vec<i64>> = (0..points.count()).map(|i| values(points.point(i).words)).collect();
    let mut centres: Vec<Vec<i64>> =
        evenly(all.len(), plan.clusters, plan.seed).into_iter().map(|i| all[i].clone()).collect();
    let (mut means, mut loss) = (Vec::new(), 0);
    for _ in 0..plan.whole {
        let mut members = vec![Vec::new(); plan.clusters];
        loss = 0;
        for point in &all {
            let (distance, nearest) =
                centres.iter().enumerate().map(|(c, centre)| (squared(centre, point), c)).min().unwrap();
            members[nearest].push(point);
            loss += distance;
        }
        means.clear();
        for (centre, members) in centres.iter_mut().zip(members) {
            for (j, value) in centre.iter_mut().enumerate() {
                let sum: i64 = members.iter().map(|member| member[j]).sum();
                let mean = (sum as f64 / members.len() as f64) as f32;
                means.push(mean);
                *value = i64::from(whole(mean));
            }
        }
    }
    (means, loss)
}

#[test]
fn rounds_are_those_of_the_book() {
    // Short vectors, more clusters than a book holds, and vectors longer than its.
    for (clusters, count, columns) in [(7, 900, 6), (64, 2000, 16), (300, 3000, 9), (20, 700, 150)] {
        // Around one place, so that no cluster becomes empty.
        let (rows, _) = Rounded::of(&around(1, count, columns, 3.0), columns).unwrap();
        let points = rows.view(0, columns.div_ceil(4));
        let plan = plan(clusters, (0, 4));
        let (means, loss) = plainly(points, &plan);
        for threads in [1, 3] {
            let found = clustered(points, &plan, threads);
            assert_eq!(found.loss, loss, "{clusters} {columns} {threads}");
            assert_eq!(found.means, means, "{clusters} {columns} {threads}");
        }
    }
}

#[test]
fn a_view_is_clustered_like_a_copy() {
    let rows = around(40, 1500, 24, 2.0);
    let (all, _) = Rounded::of(&rows, 24).unwrap();
    let mut copy = Rounded::zero(1500, 2).unwrap();
    for i in 0..1500 {
        copy.row_mut(i).copy_from_slice(all.view(3, 2).point(i).words);
    }
    let plan = Plan { seeding: Seeding::Spread, ..plan(32, (3, 3)) };
    let (view, copied) = (clustered(all.view(3, 2), &plan, 2), clustered(copy.view(0, 2), &plan, 1));
    assert_eq!((view.means, view.words, view.loss), (copied.means, copied.words, copied.loss));
}

#[test]
fn clusters_that_are_there_are_found() {
    let (rows, step) = Rounded::of(&around(50, 6000, 12, 0.2), 12).unwrap();
    let points = rows.view(0, 3);
    let loss = |plan: &Plan| clustered(points, plan, 2).loss;
    let spread = Plan { seeding: Seeding::Spread, ..plan(50, (4, 8)) };
    // Every point is 0.2 off in 12 directions, but for rounding.
    let best = 6000.0 * 12.0 * (f64::from(0.2 / step).powi(2) + 1.0 / 6.0);
    assert!(loss(&spread) as f64 <= 1.1 * best, "{} {best}", loss(&spread));
    // Points taken evenly miss some places; more rounds are not worse than one.
    assert!(loss(&plan(50, (0, 12))) <= loss(&plan(50, (0, 1))));
    assert!(loss(&plan(50, (8, 2))) <= loss(&plan(50, (0, 1))));
}

#[test]
fn empty_clusters_find_work() {
    // Nearly all points are alike, so that nearly all seeds are; a few are elsewhere.
    let mut rows = vec![1.0; 8 * 1000];
    for i in 0..40 {
        rows[8 * (i * 25 + 3)..][..8].fill(2.0 + i as f32);
    }
    let (rows, _) = Rounded::of(&rows, 8).unwrap();
    let found = clustered(rows.view(0, 2), &plan(64, (0, 60)), 2);
    assert_eq!(found.loss, 0, "64 clusters for 41 places");
    // Fewer points than clusters.
    let (few, _) = Rounded::of(&around(3, 5, 4, 1.0), 4).unwrap();
    let found = clustered(few.view(0, 1), &plan(16, (1, 4)), 1);
    assert_eq!((found.loss, found.words.len()), (0, 16));
}

#[test]
fn it_can_be_watched_and_stopped() {
    let (rows, _) = Rounded::of(&around(9, 800, 8, 2.0), 8).unwrap();
    let told = std::cell::RefCell::new(Vec::new());
    let watch = |done, all| {
        told.borrow_mut().push((done, all));
        done == 3
    };
    let stopped = cluster(rows.view(0, 2), &plan(9, (2, 6)), (1, &Pool::default()), &watch).unwrap_err();
    assert_eq!(stopped.status(), Status::Cancelled);
    assert_eq!(told.into_inner(), [(1, 8), (2, 8), (3, 8)]);
    assert_eq!(
        cluster(rows.view(0, 2), &plan(0, (0, 1)), (1, &Pool::default()), &never).unwrap_err().status(),
        Status::Argument
    );
}

#[test]
fn rows_of_floats_come_back_as_means() {
    let rows = around(4, 400, 5, 0.01);
    let means = cluster_rows((&rows, 5), 4, (0, 10), 3, 2).unwrap();
    assert_eq!(means.len(), 20);
    for row in rows.chunks_exact(5) {
        let off = |mean: &[f32]| mean.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let nearest = means.chunks_exact(5).map(off).fold(f32::INFINITY, f32::min);
        assert!(nearest < 0.2, "{nearest}");
    }
}

//! The models, one test each.

macro_rules! models {
    ($($room:ident: $($name:ident),*;)*) => {
        $($(#[test] fn $name() { kith_loom::$room::$name(); })*)*
    };
}

models! {
    rows: a_link_leads_to_a_whole_slot, a_row_shows_old_and_new_links_only, no_edit_of_a_row_is_lost, what_is_left_to_an_editor_is_done, one_slot_founds_the_graph,
          walks_begin_at_linked_slots, a_snapshot_has_a_tree_of_what_lives;
    slots: a_found_slot_is_whole, a_live_slot_is_whole, one_insertion_gets_the_key, a_replaced_key_never_goes_away,
           a_pass_meets_a_replaced_key, two_replacements_at_once_disturb, a_replacement_beside_a_claim_that_is_released,
           removal_beside_replacement, a_move_beside_a_removal;
    snapshots: a_snapshot_is_what_was_at_one_instant, a_snapshot_has_all_of_a_batch_or_nothing, a_snapshot_has_what_its_number_says;
    places: a_found_slot_is_not_used_again, a_scanned_slot_is_not_used_again;
}

//! Policy model to table rows: labels, groups, verdicts

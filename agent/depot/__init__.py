"""The depot: a small evidence store for one machine, spoken to by tus 1.0.0, proving by signed receipts."""

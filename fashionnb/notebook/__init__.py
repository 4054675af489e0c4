"""What a chapter uses to talk to its reader. `fashionnb.notebook.claims` binds sentences to what was measured."""

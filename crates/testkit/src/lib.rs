//! For tests only: scripted model server, throw-away repositories, process proofs.

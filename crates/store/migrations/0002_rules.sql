-- What a person allowed or denied in every run of a project, in the order in which it was added.
CREATE TABLE rules (
    project TEXT NOT NULL,
    rule TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, rule)
) STRICT;

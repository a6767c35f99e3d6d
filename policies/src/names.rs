//! What PostgreSQL itself owns: catalog relations and functions, and how each is treated.

//! The embedded UI's folder must be there for the build, empty where the UI was not built.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=../admin-ui/dist");
    if let Err(error) = std::fs::create_dir_all("../admin-ui/dist") {
        println!("cargo:warning=admin-ui/dist cannot be made: {error}");
    }
}

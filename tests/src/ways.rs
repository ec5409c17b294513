//! One story on several ways of running. The name of a test that starts programs ends in `embedded` or `servers`.

/// Makes two tests of each story, a function of the same name in the caller's module `stories`: as one program, and
/// with servers.
#[macro_export]
macro_rules! on_both_ways {
    ($($story:ident),* $(,)?) => {
        $(mod $story {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::stories::$story($crate::Way::Embedded).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                super::stories::$story($crate::Way::Servers).await;
            }
        })*
    };
}

/// Makes three tests of each story, a function of the same name in the caller's module `stories`: in this process, as
/// one program, and with servers.
#[macro_export]
macro_rules! on_every_way {
    ($($story:ident),* $(,)?) => {
        $(mod $story {
            #[tokio::test(flavor = "multi_thread")]
            async fn in_process() {
                super::stories::$story($crate::Way::InProcess).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::stories::$story($crate::Way::Embedded).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                super::stories::$story($crate::Way::Servers).await;
            }
        })*
    };
}

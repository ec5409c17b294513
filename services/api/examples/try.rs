//! x
use tokio_util::sync::CancellationToken;
fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(std::env::var("L").unwrap_or("warn".into()))
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let a: Vec<String> = std::env::args().collect();
        let url = a[1].parse().unwrap();
        let store = tonghop_storage::Store::open(&url, tonghop_catalogue::built_in().unwrap())
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let l = tonghop_api::bind(&tonghop_api::Settings {
            listen: a[2].parse().unwrap(),
            insecure_open: false,
        })
        .unwrap();
        let s = store.clone();
        tokio::spawn(async move {
            loop {
                let keys = s
                    .stale(chrono::Utc::now() + chrono::Duration::hours(1), 100)
                    .await
                    .unwrap_or_default();
                for k in &keys {
                    if let Err(e) = s.refresh(k).await {
                        eprintln!("refresh {e}");
                    }
                }
                if keys.is_empty() {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        });
        let st = stop.clone();
        tokio::spawn(async move {
            let mut t = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
            t.recv().await;
            st.cancel();
        });
        tonghop_api::serve(l, store.clone(), stop).await.unwrap();
        store.close().await;
        eprintln!("stopped");
    });
}

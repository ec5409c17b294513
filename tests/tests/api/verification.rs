//! Verification: wrong stored totals are named, and `tonghop rebuild` repairs them while clients read.

use tonghop_tests::on_both_ways;

on_both_ways!(
    corrupted_totals_are_named_and_repaired_while_clients_read,
    unreadable_rows_hide_no_other_difference,
);

mod stories {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::{Value, json};
    use tokio::task::JoinHandle;
    use tonghop_tests::{
        Ended, FORM, Options, PERIOD, PROVINCE, TestApp, Way, broadcasts, corrupt, run_to_end, submission,
    };

    const COUNTRY: &str = "VN";

    /// How a total is corrupted, and how verification names it.
    struct Corruption {
        sql: String,
        /// What `/v1/verification` returns: unit, indicator, breakdown, number, served, recomputed.
        named: Value,
        /// What `tonghop verify` prints.
        printed: &'static str,
        /// The units whose readers may see a wrong total.
        wrong: &'static [&'static str],
    }

    fn in_body(unit: &str, from: &str, to: &str) -> String {
        format!(
            "UPDATE totals SET body = replace(body, '{from}', '{to}') WHERE body LIKE '%{from}%' AND {}",
            of(unit)
        )
    }

    fn of(unit: &str) -> String {
        format!("unit_id = (SELECT unit_id FROM units WHERE code = '{unit}')")
    }

    fn corruptions() -> Vec<Corruption> {
        vec![
            Corruption {
                sql: in_body(PROVINCE, r#""v":70"#, r#""v":36"#),
                named: json!({"unit": "87", "indicator": "TT.PT", "number": "value", "served": "36", "recomputed": "70"}),
                printed: "ngay-30-7 2021-07: unit 87 TT.PT value: served 36, recomputed 70",
                wrong: &[PROVINCE],
            },
            Corruption {
                sql: in_body(PROVINCE, r#"["sex","nu"]],1]"#, r#"["sex","nu"]],2]"#),
                named: json!({"unit": "87", "indicator": "NN.TN", "breakdown": {"age": "16_17", "sex": "nu"}, "number": "value", "served": "2", "recomputed": "1"}),
                printed: "unit 87 NN.TN age=16_17 sex=nu value: served 2, recomputed 1",
                wrong: &[PROVINCE],
            },
            Corruption {
                sql: in_body(COUNTRY, r#""reported":2"#, r#""reported":3"#),
                named: json!({"unit": "VN", "indicator": null, "number": "reported", "served": "3", "recomputed": "2"}),
                printed: "unit VN reported: served 3, recomputed 2",
                wrong: &[COUNTRY],
            },
            Corruption {
                sql: format!("DELETE FROM totals WHERE {}", of(PROVINCE)),
                named: json!({"unit": "87", "indicator": "TT.PT", "number": "value", "served": null, "recomputed": "70"}),
                printed: "unit 87 TT.PT value: served nothing, recomputed 70",
                wrong: &[PROVINCE],
            },
            Corruption {
                sql: format!("UPDATE totals SET body = '{{}}' WHERE {}", of(PROVINCE)),
                named: json!({"unit": "87", "indicator": null, "number": "total", "served": "unreadable", "recomputed": null}),
                printed: "unit 87: the stored total cannot be read",
                wrong: &[PROVINCE],
            },
            Corruption {
                sql: "UPDATE totals SET body = 'x'".into(),
                named: json!({"unit": "VN", "indicator": null, "number": "total", "served": "unreadable", "recomputed": null}),
                printed: "unit VN: the stored total cannot be read",
                wrong: &[PROVINCE, COUNTRY],
            },
        ]
    }

    /// Starts a service in which only the rebuild repairs totals.
    async fn without_sweep(way: Way) -> TestApp {
        let options = Options {
            sweep_interval_ms: 3_600_000,
            ..Options::default()
        };
        let app = TestApp::start_with(way, options).await;
        app.wait_for_queues().await;
        app
    }

    fn command(app: &TestApp, name: &str) -> Ended {
        run_to_end(app.command("tonghop").arg(name))
    }

    async fn verification(app: &TestApp) -> Value {
        let path = format!("/v1/verification?form={FORM}&period={PERIOD}&unit={COUNTRY}");
        app.get(&path).await.json()
    }

    /// What a reader sees of a total: the status, the completeness and the indicators that any unit reports.
    async fn seen(app: &TestApp, unit: &str) -> (u16, String) {
        let answer = app
            .get(&format!("/v1/totals?form={FORM}&period={PERIOD}&unit={unit}"))
            .await;
        let body = answer.json();
        let completeness = &body["completeness"];
        let lines = body["totals"].as_array().into_iter().flatten();
        let said: Vec<String> = lines
            .filter(|line| line["not_reported"] != line["expected"])
            .map(Value::to_string)
            .collect();
        (answer.status, format!("{completeness} {said:?}"))
    }

    /// A client that reads a total continuously, and once more at the end.
    struct Reader {
        unit: &'static str,
        expected: BTreeSet<(u16, String)>,
        reading: JoinHandle<BTreeSet<(u16, String)>>,
    }

    impl Reader {
        async fn start(
            app: &Arc<TestApp>,
            unit: &'static str,
            right: &(u16, String),
            ends: &Arc<AtomicBool>,
        ) -> Self {
            let (app, ends) = (app.clone(), ends.clone());
            let first = seen(&app, unit).await;
            let expected = BTreeSet::from([first.clone(), right.clone()]);
            let reading = tokio::spawn(async move {
                let mut all = BTreeSet::from([first]);
                loop {
                    let last = ends.load(Ordering::Relaxed);
                    all.insert(seen(&app, unit).await);
                    if last {
                        return all;
                    }
                }
            });
            Self {
                unit,
                expected,
                reading,
            }
        }

        async fn saw_nothing_else(self, what: &str) {
            assert_eq!(
                self.reading.await.unwrap(),
                self.expected,
                "unit {}, {what}",
                self.unit
            );
        }
    }

    pub(super) async fn corrupted_totals_are_named_and_repaired_while_clients_read(way: Way) {
        let app = Arc::new(without_sweep(way).await);
        let cells = json!([{"by": {"sex": "nu", "age": "16_17"}, "value": 1}, {"by": {"sex": "nam", "age": "16_17"}, "value": 2}]);
        let figures = json!([{ "indicator": "TT.PT", "value": 63 }, { "indicator": "NN.TN", "value": 3, "breakdowns": cells }]);
        assert_eq!(app.post(&submission("866", figures)).await.status, 201);
        assert_eq!(app.post(&broadcasts("867", 7)).await.status, 201);
        app.settled_totals(COUNTRY).await;
        let right = [seen(&app, PROVINCE).await, seen(&app, COUNTRY).await];
        for Corruption {
            sql,
            named,
            printed,
            wrong,
        } in corruptions()
        {
            corrupt(&app.database_url, &sql).await;
            let proof = verification(&app).await;
            let agrees = |one: &Value| {
                named
                    .as_object()
                    .unwrap()
                    .iter()
                    .all(|(key, value)| one[key] == *value)
            };
            assert!(
                proof["differing"].as_array().unwrap().iter().any(agrees),
                "{sql}: {proof}"
            );
            let verified = command(&app, "verify");
            assert!(
                verified.code == Some(1) && verified.output.contains(printed),
                "{sql}: {}",
                verified.output
            );

            let ends = Arc::new(AtomicBool::new(false));
            let mut readers = Vec::new();
            for (unit, right) in [PROVINCE, COUNTRY].into_iter().zip(&right) {
                for _ in 0..2 {
                    let reader = Reader::start(&app, unit, right, &ends).await;
                    assert_eq!(reader.expected.len() == 2, wrong.contains(&unit), "{unit}, {sql}");
                    readers.push(reader);
                }
            }
            let rebuilt = tokio::task::spawn_blocking({
                let app = app.clone();
                move || command(&app, "rebuild")
            });
            let rebuilt = rebuilt.await.unwrap();
            assert_eq!(
                rebuilt.code,
                Some(0),
                "{sql}: {}{}",
                rebuilt.output,
                rebuilt.error
            );
            ends.store(true, Ordering::Relaxed);
            for reader in readers {
                reader.saw_nothing_else(&sql).await;
            }
            assert_eq!(
                [seen(&app, PROVINCE).await, seen(&app, COUNTRY).await],
                right,
                "{sql}"
            );
            app.assert_verified(COUNTRY).await;
            assert_eq!(command(&app, "verify").code, Some(0), "{sql}");
        }
    }

    pub(super) async fn unreadable_rows_hide_no_other_difference(way: Way) {
        let app = without_sweep(way).await;
        let next_year = json!({ "form": FORM, "period": "2022-07", "unit": "866", "figures": [{ "indicator": "TT.PT", "value": 4711 }] });
        assert_eq!(app.post(&next_year).await.status, 201);
        assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
        app.settled_totals(COUNTRY).await;
        // An unreadable report, an unreadable total, and a wrong total.
        corrupt(
            &app.database_url,
            "UPDATE revisions SET figures = 'x' WHERE figures LIKE '%4711%'",
        )
        .await;
        corrupt(&app.database_url, &in_body(PROVINCE, r#""v":63"#, r#""v":36"#)).await;
        corrupt(
            &app.database_url,
            &format!(
                "UPDATE totals SET body = '' WHERE period = '{PERIOD}' AND {}",
                of(COUNTRY)
            ),
        )
        .await;
        let proof = verification(&app).await;
        let units: Vec<&str> = proof["differing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["unit"].as_str().unwrap())
            .collect();
        assert_eq!(units, [COUNTRY, PROVINCE], "{proof}");
        assert!(proof["checked"].as_u64() > Some(100), "{proof}");
        let verified = command(&app, "verify");
        for line in [
            "2021-07: unit VN: the stored total cannot be read",
            "2021-07: unit 87 TT.PT value: served 36, recomputed 63",
            "2022-07: could not be verified: ",
            " numbers in 1 totals checked, 0 totals skipped (changes pending), 2 differ",
        ] {
            assert!(verified.output.contains(line), "{line}: {}", verified.output);
        }
        assert!(
            !verified.output.contains("2022-07: 0 numbers"),
            "nothing was proved there"
        );
        assert_eq!(verified.code, Some(1));
        let rebuilt = command(&app, "rebuild");
        assert!(
            rebuilt.code == Some(1)
                && rebuilt
                    .output
                    .contains("ngay-30-7 2022-07: unit 87: was not refreshed: "),
            "{}{}",
            rebuilt.output,
            rebuilt.error
        );
        assert_eq!(TestApp::value(&app.settled_totals(COUNTRY).await, "TT.PT"), 63);
        app.assert_verified(COUNTRY).await;
        // A correction repairs the report, too.
        let mut correction = next_year;
        correction["figures"][0]["value"] = json!(4712);
        assert_eq!(app.post(&correction).await.status, 201);
        assert_eq!(command(&app, "rebuild").code, Some(0));
        let verified = command(&app, "verify");
        assert_eq!(verified.code, Some(0), "{}", verified.output);
    }
}

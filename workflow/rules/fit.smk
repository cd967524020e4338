# One rule per method, so that resources, environments and --set-resources can address each of them.
for method_id in PLAN.method_ids():

    rule:
        name:
            f"fit_{method_id}"
        input:
            cube=f"{RESULTS}/{{dataset}}/cube.nc",
            plugin=PLAN.sources(method_id),
        output:
            f"{RESULTS}/{{dataset}}/{method_id}/{{variant}}/batch-{{number}}.json",
        params:
            job=PLAN.job_json(method_id),
        log:
            f"{RESULTS}/logs/fit/{{dataset}}.{method_id}.{{variant}}.{{number}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/fit/{{dataset}}.{method_id}.{{variant}}.{{number}}.jsonl"
        conda:
            PLAN.environment(method_id)
        threads: PLAN.resource(method_id, "threads")
        resources:
            mem_mb=PLAN.resource(method_id, "memory_mib"),
            runtime=PLAN.runtime(method_id),
            gpu=PLAN.gpus(method_id),
        shell:
            "python -m regimebench fit-batch --job {params.job:q} --cube {input.cube} --batch {output}"
            " --threads {threads} > {log} 2>&1"

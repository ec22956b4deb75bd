package io.panatron.tests.fault;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Command lines and configuration files that cannot be meant. */
final class BadParameters {
  private BadParameters() {}

  static List<BadInput> all() {
    return Stream.of(values(), folders(), configFiles()).flatMap(List::stream).toList();
  }

  private static List<BadInput> values() {
    return List.of(
        set("a misspelt name", "micro_batchsize", 2, "--micro_batchsize", "--micro_batch_size"),
        set("a name of another command", "rlhf_type", "dpo", "--rlhf_type"),
        set("a number that is none", "lr", "fast", "--lr", "fast", "number"),
        set("a number that is not finite", "lr", "NaN", "--lr", "NaN"),
        set("a whole number with a fraction", "train_iters", "1.5", "--train_iters", "1.5"),
        set("a number below its range", "micro_batch_size", 0, "--micro_batch_size", "0"),
        set("a number beyond long", "train_iters", "99999999999999999999", "--train_iters"),
        set("a share beyond its range", "split_dataset_ratio", 1.5, "--split_dataset_ratio"),
        set("a boolean that is none", "finetune", "maybe", "--finetune", "maybe", "true"),
        set("an unknown choice", "optimizer", "lion", "--optimizer", "lion", "adam"),
        set("an unknown style", "lr_decay_style", "zigzag", "--lr_decay_style", "zigzag", "cosine"),
        set("what is not supported yet", "fp8_format", "e4m3", "--fp8_format", "not supported yet"),
        set(
            "parallelism that is not there yet",
            "tensor_model_parallel_size",
            2,
            "--tensor_model_parallel_size"),
        set(
            "a GPU that is not supported yet",
            "device",
            "cuda",
            "--device cuda",
            "what works is auto, cpu"),
        set(
            "narrow state of a plain optimizer",
            "exp_avg_dtype",
            "fp8",
            "--exp_avg_dtype fp8",
            "--use_precision_aware_optimizer true"),
        BadInput.of(
            "narrow state of another optimizer",
            folder ->
                BadInput.good(folder)
                    .with("use_precision_aware_optimizer", true)
                    .with("optimizer", "sgd"),
            "--use_precision_aware_optimizer true is for --optimizer adam, not sgd"),
        BadInput.of(
            "main parameters of a model that has none",
            folder ->
                BadInput.good(folder)
                    .with("use_precision_aware_optimizer", true)
                    .with("main_params_dtype", "fp16"),
            "--main_params_dtype fp16",
            "float32 model"),
        set(
            "a loss scale without float16",
            "initial_loss_scale",
            1024,
            "--initial_loss_scale",
            "trains in float32",
            "--torch_dtype float16"),
        set(
            "a least loss scale above the first",
            "min_loss_scale",
            "1e12",
            "--initial_loss_scale",
            "--min_loss_scale 1.0E12",
            "change one"),
        set(
            "a model of the hub without the hub",
            "model",
            "org/name",
            "--model org/name",
            "--use_hf true",
            "ModelScope"),
        set(
            "a data set of the hub without the hub",
            "dataset",
            "org/name:en#10",
            "--dataset org/name:en",
            "--use_hf true"),
        set("a data set of ModelScope", "dataset", "MS::org/name", "ModelScope", "HF::org/name"),
        set(
            "a revision of a folder",
            "model_revision",
            "v1",
            "--model_revision v1",
            "folder of this machine"),
        set("a shard size that is none", "max_shard_size", "huge", "--max_shard_size", "huge"),
        set("an unknown loss mask", "loss_scale", "some", "--loss_scale", "some"),
        set(
            "batches that do not divide",
            "micro_batch_size",
            3,
            "--global_batch_size 4",
            "--micro_batch_size 3",
            "multiple"),
        BadInput.of(
            "epochs that do not fill a batch",
            folder -> BadInput.good(folder).with("max_epochs", 1).with("global_batch_size", 64),
            "16 samples",
            "--global_batch_size of 64",
            "raise --max_epochs"),
        BadInput.of(
            "fewer samples than a micro-batch takes",
            folder ->
                BadInput.good(folder).with("micro_batch_size", 32).with("global_batch_size", 32),
            "16 samples",
            "lower --micro_batch_size"),
        set(
            "full recomputation of an unknown kind",
            "recompute_granularity",
            "full",
            "--recompute_granularity full",
            "add both"),
        BadInput.of(
            "units that do not divide the layers",
            folder ->
                BadInput.good(folder)
                    .with("recompute_granularity", "full")
                    .with("recompute_method", "uniform")
                    .with("recompute_num_layers", 2),
            "--recompute_num_layers 2",
            "the model's 3 layers"),
        set("recomputing experts", "recompute_modules", "moe", "--recompute_modules moe", "mlp"),
        set("packing without packing", "packing_length", 900, "--packing_length 900", "--packing"),
        set("streaming without", "dataloader_type", "external", "external", "--streaming true"),
        set("a mixture of one", "interleave_prob", "0.5", "--interleave_prob", "1 in all"),
        set("columns that are no map", "columns", "[]", "--columns []", "names to names"),
        BadInput.of(
            "streaming with a split",
            folder ->
                BadInput.good(folder).with("streaming", true).with("split_dataset_ratio", 0.1),
            "--streaming true",
            "--split_dataset_ratio; give --val_dataset"),
        BadInput.of(
            "lazy packing",
            folder -> BadInput.good(folder).with("packing", true).with("lazy_tokenize", true),
            "--lazy_tokenize true contradicts --packing true"),
        set("a rate below its minimum", "min_lr", 1, "--min_lr 1", "--lr"),
        set("a warm-up as long as the run", "lr_warmup_iters", 8, "--lr_warmup_iters 8"),
        set("what config.json contradicts", "hidden_size", 128, "--hidden_size 128", "config.json"),
        set("fewer layers than the weights", "num_layers", 2, "do not fit", "--num_layers 2"),
        set("a norm", "normalization", "LayerNorm", "Qwen3ForCausalLM cannot say --normalization"),
        set("no gate", "swiglu", false, "--swiglu false (it has true)"),
        set("learned positions", "position_embedding_type", "learned_absolute", "(it has rope)"),
        set("part of a head", "rotary_percent", 0.5, "--rotary_percent 0.5 (it has 1.0)"),
        set("pairs", "rotary_interleaved", true, "--rotary_interleaved true (it has false)"),
        set("biases", "disable_bias_linear", false, "--disable_bias_linear false (it has biases"),
        set("no norms of heads", "qk_layernorm", false, "--qk_layernorm false (it has true)"),
        set("a list as scaling", "rope_scaling", "[1]", "--rope_scaling", "JSON object"),
        set("an unknown scaling", "rope_scaling", "{\"rope_type\":\"ntk\"}", "rope type ntk"),
        set("groups that do not divide", "num_query_groups", 4, "must be a multiple of", "4"),
        BadInput.of(
            "no model",
            folder -> BadInput.good(folder).without("model"),
            "--model is required",
            "give the folder"),
        BadInput.of(
            "no data set",
            folder -> BadInput.good(folder).without("dataset"),
            "--dataset is required",
            "give one or more"),
        BadInput.of(
            "no length of the run",
            folder -> BadInput.good(folder).without("train_iters"),
            "--train_iters",
            "--max_epochs"),
        BadInput.of(
            "two kinds of validation data",
            folder ->
                BadInput.good(folder)
                    .with("val_dataset", Fixture.rows())
                    .with("split_dataset_ratio", 0.5),
            "--val_dataset",
            "--split_dataset_ratio",
            "keep one"),
        BadInput.of(
            "two dtypes",
            folder -> BadInput.good(folder).with("bf16", true).with("torch_dtype", "float32"),
            "--bf16 true contradicts --torch_dtype float32"));
  }

  private static List<BadInput> folders() {
    return List.of(
        BadInput.of(
            "a save path that is a file",
            folder ->
                BadInput.good(folder)
                    .with("save", Files.writeString(folder.resolve("taken"), "mine")),
            "--save",
            "taken",
            "give a folder"),
        BadInput.of(
            "a save path below a file",
            folder ->
                BadInput.good(folder)
                    .with("save", Files.writeString(folder.resolve("taken"), "").resolve("out")),
            "--save",
            "taken/out"),
        BadInput.of(
            "a save path that nobody may write to",
            folder -> BadInput.good(folder).with("save", "/proc/panatron"),
            "--save",
            "/proc/panatron"),
        set("an empty path", "load", "", "--load is empty", "leave it out"),
        BadInput.of(
            "a checkpoint that does not exist",
            folder -> BadInput.good(folder).with("load", folder.resolve("gone")),
            "--load",
            "gone",
            "not a folder"),
        BadInput.of(
            "a folder without checkpoints",
            folder ->
                BadInput.good(folder).with("load", Files.createDirectory(folder.resolve("empty"))),
            "empty",
            "checkpoint"),
        BadInput.of(
            "a run folder whose only checkpoint is damaged",
            folder -> {
              Path checkpoint = Files.createDirectories(folder.resolve("run/checkpoint-2"));
              Files.writeString(checkpoint.resolve("manifest.json"), "{");
              return BadInput.good(folder).with("load", folder.resolve("run"));
            },
            "run",
            "checkpoint-2",
            "damaged"));
  }

  private static List<BadInput> configFiles() {
    return List.of(
        yaml(
            "a configuration file that is broken",
            "lr: [1\nsave: x\n",
            "config.yaml, line 2",
            "expected"),
        yaml(
            "a misspelt name in a file", "micro_batchsize: 1\n", "micro_batch_size", "config.yaml"),
        yaml("a value of a wrong type in a file", "train_iters: soon\n", "train_iters", "soon"),
        yaml("a file that is a list", "- lr\n- 1\n", "config.yaml", "name: value"),
        yaml("a name given twice in a file", "lr: 1\nlr: 2\n", "config.yaml", "lr"),
        BadInput.of(
            "a configuration file that does not exist",
            folder -> BadInput.good(folder).with("config", folder.resolve("gone.yaml")),
            "--config",
            "gone.yaml",
            "does not exist"));
  }

  private static BadInput set(String name, String parameter, Object value, String... phrases) {
    return BadInput.of(name, folder -> BadInput.good(folder).with(parameter, value), phrases);
  }

  private static BadInput yaml(String name, String text, String... phrases) {
    return BadInput.of(
        name,
        folder ->
            BadInput.good(folder)
                .without("train_iters")
                .with("config", Files.writeString(folder.resolve("config.yaml"), text)),
        phrases);
  }
}

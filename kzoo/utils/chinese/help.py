"""The command line's help. Commands, options and metavars are not translated; nor are errors, which scripts read."""

WORDS = {
    # argparse's own
    "usage: ": "用法：",
    "positional arguments": "位置参数",
    "options": "选项",
    "show this help message and exit": "显示本帮助并退出",
    "show program's version number and exit": "显示版本号并退出",
    "examples:": "示例：",
    "exit code:": "退出码：",
    "and then:": "然后：",
    # kzoo
    "A Keras model zoo: list the presets, train one on your data, use it.": (
        "Keras 模型库：列出预设模型，用您的数据训练，然后使用。"
    ),
    "`kzoo COMMAND --help` teaches each command by example.": "`kzoo COMMAND --help` 用示例讲解每条命令。",
    "KZOO_LANG=zh: help and --callbacks teaching in Chinese; all else is English.": (
        "KZOO_LANG=zh：帮助和 --callbacks teaching 为中文，其余仍为英文。"
    ),
    "0  answered   1  more than one file in twenty could not be read   2  bad input": (
        "0  已作出预测   1  读不了的文件超过二十分之一   2  输入有误"
    ),
    "show the traceback of an error": "出错时显示完整的调用栈",
    "print a completion script": "打印 shell 自动补全脚本",
    "print one JSON document instead of text": "打印一个 JSON 文档，而不是文字",
    "the presets, by task": "按任务列出预设模型",
    "a preset in full: layers, settings, data; draws it too": "一个预设模型的全部：各层、设置、数据；也可以画出来",
    "look at data, settings and network before training; at new data after it; at an export": (
        "训练前检查数据、设置和网络；训练后检查新数据；检查导出的模型"
    ),
    "train a preset on its own data or on yours": "用预设模型自带的数据或您的数据训练",
    "search for better settings of a preset": "为预设模型调优超参数",
    "score a run on its test split or on new data": "在测试集或新数据上评估一次训练的结果",
    "answers for images, table rows or texts": "对图像、表格行或文本作出预测",
    "a run as one HTML page: scores, curves, mistakes, settings": (
        "把一次训练写成一个 HTML 页面：得分、曲线、错误、设置"
    ),
    "a run as SavedModel, ONNX, LiteRT or .keras, each checked in its own runtime": (
        "把训练好的模型导出为 SavedModel、ONNX、LiteRT 或 .keras，并用各自的运行时检查"
    ),
    "answer over HTTP with exported models, without Keras": "用导出的模型通过 HTTP 回答请求，不需要 Keras",
    "runs side by side, best first; a new one against an old one": "并列比较多次训练，最好的在前；或比较新旧两次训练",
    # list
    "List the presets, by task; or rank those that were measured on some data.": (
        "按任务列出预设模型；或者给在某个数据集上测量过的模型排名。"
    ),
    "everything": "全部",
    "by name, with * and ?": "按名字，可用 * 和 ?",
    "of a file, and of a package": "某个文件和某个软件包里的",
    "for a task": "用于某项任务的",
    "of a family": "属于某个模型族的",
    "what was measured there, best first": "在该数据集上测量过的，最好的在前",
    "the quickest first": "最快的在前",
    "names, with * and ?, or a TOML file": "名字，可用 * 和 ?；或一个 TOML 文件",
    "such as fnn, cnn, lstm or transformer": "例如 fnn、cnn、lstm 或 transformer",
    "such as image_classification": "例如 image_classification",
    "presets whose own data set this is, such as cifar10": "自带这个数据集的预设模型，例如 cifar10",
    "at most this many parameters: 50000, 100k, 2M": "参数个数的上限：50000、100k、2M",
    "rank what was measured on these data, such as digits": "给在该数据集上测量过的模型排名，例如 digits",
    "by what to rank it (default score)": "按什么排名（默认 score）",
    "leave out; repeatable": "排除这些；可以多次给出",
    # show
    "Show a preset or a run in full: layers, what goes in and out, every setting.": (
        "显示一个预设模型或一次训练的全部：各层、输入与输出、每项设置。"
    ),
    "draw the network; .svg, .pdf too": "画出网络；也可以是 .svg、.pdf",
    "Keras code that needs no kzoo": "不依赖 kzoo 的 Keras 代码",
    "what was trained, and how well": "训练了什么，结果如何",
    "a name from `kzoo list`, a file of yours, or a run": "`kzoo list` 中的名字、您的文件，或一次训练的文件夹",
    "draw the network into a .png, .svg or .pdf file": "把网络画进 .png、.svg 或 .pdf 文件",
    "print Keras code that builds it without kzoo": "打印不依赖 kzoo 即可构建它的 Keras 代码",
    "show it with these settings": "按这些设置显示",
    # check
    "Show how data is read, what is wrong or new in it, or altered in an export.": (
        "显示数据怎样被读取、其中有什么错误或变化，以及导出的模型是否被改动。"
    ),
    "its own data": "它自带的数据",
    "baselines, and presets to try": "基线，以及值得一试的预设模型",
    "without gradient steps": "不做梯度更新",
    "what is new in May?": "五月的数据有什么变化？",
    "each file, in its own runtime": "每个文件，用各自的运行时",
    "0  no error, though there may be warnings   1  an error   2  bad input": (
        "0  没有错误，但可能有警告   1  有错误   2  输入有误"
    ),
    "a name from `kzoo list`, or the folder of a run or export; without it --data is looked at alone": (
        "`kzoo list` 中的名字，或者一次训练、一个导出模型的文件夹；省略时只检查 --data"
    ),
    "what `kzoo train` takes; with a run: new data, with answers or without": (
        "`kzoo train` 接受的数据；与训练文件夹一起给出时是新数据，有无答案均可"
    ),
    "only what `kzoo train` does by itself: no gradient steps, no long baselines": (
        "只做 `kzoo train` 自己会做的检查：不做梯度更新，不算费时的基线"
    ),
    # train
    "Train a preset on its own data or on yours; one folder keeps all about it.": (
        "用预设模型自带的数据或您的数据训练；有关的一切都放在一个文件夹里。"
    ),
    "its own data, no download": "它自带的数据，无需下载",
    "a folder with a folder per class": "一个文件夹，其中每类一个子文件夹",
    "a text file per class, or a CSV": "每类一个文本文件，或一个 CSV",
    "a language model": "语言模型",
    "The epoch that is best on validation data is kept; test data is looked at once, at the end. Ctrl-C stops early "
    "and keeps the best model so far. However it was stopped, even killed, the same command picks up where it was, bit "
    "for bit. `kzoo show PRESET` lists what --set takes.": (
        "保留在验证集上最好的 epoch；测试集只在最后看一次。Ctrl-C 提前结束训练，并保留目前最好的模型。"
        "无论怎样中断，哪怕进程被强行终止，同一条命令都会从原处继续，结果逐位相同。"
        "`kzoo show PRESET` 列出 --set 能改的设置。"
    ),
    "a name from `kzoo list`, or a file of yours: mine.toml": "`kzoo list` 中的名字，或您的文件：mine.toml",
    "a named set, a folder, a table (CSV), text or .npz file; default: the preset's own": (
        "有名字的数据集、文件夹、表格（CSV）、文本文件或 .npz 文件；默认：预设模型自带的"
    ),
    "the run's folder; default: runs/PRESET-NN": "本次训练的文件夹；默认：runs/PRESET-NN",
    "replace a different run in --out": "覆盖 --out 中另一次不同的训练",
    "auto (default): go on where the same run stopped; must, never": (
        "auto（默认）：从同一次训练中断处继续；must（必须继续）、never（从头开始）"
    ),
    "steps that one compiled call makes; auto (default): many where that is faster; 1: Keras' own": (
        "一次编译调用所做的步数；auto（默认）：更快时做多步；1：Keras 自己的方式"
    ),
    "tensorflow, jax or torch; auto: the fastest where it was measured; default: Keras' own": (
        "tensorflow、jax 或 torch；auto：测量过的后端中最快的一个；默认：Keras 自己的选择"
    ),
    "the same bits in every run, on a GPU too; slower": "每次运行结果逐位相同，在 GPU 上也是；较慢",
    "train even where `kzoo check` finds errors": "即使 `kzoo check` 发现错误也训练",
    "without the scores of what needs no network, beside the run's own": "得分旁边不列出不用神经网络的基线",
    "no progress": "不显示进度",
    "column to predict; repeat it for several": "要预测的列；有多列时多次给出",
    "of the split into train and test (default 0)": "划分训练集与测试集的随机种子（默认 0）",
    "share for validation (default 0.1)": "验证集所占的比例（默认 0.1）",
    "share for the test, or a source of its own": "测试集所占的比例，或单独的测试数据",
    "columns to leave out": "不使用的列",
    "rows with the same value stay in one split": "此列取值相同的行总在同一个划分里",
    "overrides the rule that tells classes from values, such as tabular_regression": (
        "不按规则判断是分类还是回归，直接指定任务，例如 tabular_regression"
    ),
    "time column of a series": "时间序列的时间列",
    "what columns are: zip=category when=date price=number:decimal=,:thousands=.": (
        "各列是什么：zip=category when=date price=number:decimal=,:thousands=."
    ),
    "passes over the training data; schedules follow": "遍历训练集的次数（epoch 数）；学习率调度随之调整",
    "steps at most: fewer epochs, or a shorter one; schedules follow": (
        "最多训练多少步：减少 epoch 数，或缩短一个 epoch；学习率调度随之调整"
    ),
    "of weights, order and augmentation (default 0)": "权重初始化、样本顺序和数据增强的随机种子（默认 0）",
    "change settings of the preset": "修改预设模型的设置",
    "begin with those of a run, of a .keras or .weights.h5 file, or with stored ones by name; imagenet: a backbone's, "
    "which Keras downloads": (
        "从已有的权重开始：一次训练的、.keras 或 .weights.h5 文件的，或按名字取用自带的；"
        "imagenet：由 Keras 下载的骨干网络权重"
    ),
    "layers that keep their weights; alone: all that were copied": "权重保持不变的层；不写层名：所有复制了权重的层",
    "callback bundle: standard, quick, long, tuning, debug, teaching": (
        "成套的回调函数：standard、quick、long、tuning、debug、teaching"
    ),
    "of this machine, which share each batch (JAX)": "本机上共同分担每个批量的设备数（JAX）",
    "auto, float32, mixed_bfloat16 or mixed_float16": "auto、float32、mixed_bfloat16 或 mixed_float16",
    # tune
    "Search for better settings of a preset on data; one folder keeps all trials.": (
        "在数据上为预设模型做超参数调优；所有试验都放在一个文件夹里。"
    ),
    "20 trials, the preset first": "20 次试验，先试预设模型本身",
    "scored by cross-validation": "用交叉验证评分",
    "what it would cost": "估计要花多少时间",
    "Test data is never looked at. Ctrl-C stops; however it was stopped, be it killed, the same command goes on, with "
    "every finished trial kept. More --trials go on longer. `kzoo show PRESET` lists what --set fixes.": (
        "从不使用测试集。Ctrl-C 停止；无论怎样中断，哪怕进程被强行终止，同一条命令都会继续，已完成的试验全部保留。"
        "增大 --trials 就会继续搜索下去。`kzoo show PRESET` 列出 --set 能固定的设置。"
    ),
    "a name from `kzoo list`": "`kzoo list` 中的名字",
    "what `kzoo train` takes; default: the preset's own": "`kzoo train` 接受的数据；默认：预设模型自带的",
    "how many, the preset among them (default 20)": "试验次数，包括预设模型本身（默认 20）",
    "such as 90s, 30m or 2h": "例如 90s、30m 或 2h",
    "auto (default), bayesian, grid, hyperband, optuna, random": (
        "auto（默认）、bayesian、grid、hyperband、optuna、random"
    ),
    "quick, standard (default) or full": "quick、standard（默认）或 full",
    "such as val_accuracy or val_loss": "例如 val_accuracy 或 val_loss",
    "of each trial; schedules follow": "每次试验的 epoch 数；学习率调度随之调整",
    "score each trial by cross-validation": "用交叉验证给每次试验评分",
    "trials at once (default 1)": "同时进行的试验数（默认 1）",
    "of each trial (default: 1 with --parallel, else all)": "每次试验的线程数（默认：有 --parallel 时为 1，否则全部）",
    "let the workers of a Dask scheduler train: tcp:// or tls://HOST:PORT": (
        "交给 Dask 调度器的工作进程训练：tcp:// 或 tls://HOST:PORT"
    ),
    "train every trial to its end": "每次试验都训练到底，不提前剪枝",
    "do not begin with the preset itself": "不先试预设模型本身",
    "train no network of more parameters": "不训练参数更多的网络",
    "fix settings of the preset": "固定预设模型的设置",
    "the search's folder; default: searches/PRESET-NN": "本次搜索的文件夹；默认：searches/PRESET-NN",
    "auto (default): go on with the same search; must, never": (
        "auto（默认）：继续同一次搜索；must（必须继续）、never（从头开始）"
    ),
    "of the proposals and the trainings (default 0)": "搜索和训练的随机种子（默认 0）",
    "say how many trials and epochs, and about how long": "只说明有多少次试验、多少个 epoch，大约要多久",
    # evaluate
    "Score a run: on the split that it was not trained on, or on data of your own.": (
        "评估一次训练的结果：在没有参与训练的划分上，或在您自己的数据上。"
    ),
    "its own test split": "它自己的测试集",
    "a folder per class": "每类一个文件夹",
    "with mirror images": "连同镜像图像",
    "one pass, nothing lost": "一次读完，不遗漏",
    "a run's folder, or a preset with weights of its own": "一次训练的文件夹，或自带权重的预设模型",
    "which weights, of a preset that has several: see kzoo show": "预设模型有多套权重时用哪一套：见 kzoo show",
    "its own: the test rows": "它自己的数据：测试行",
    "new data with answers, or what it was trained on": "带答案的新数据，或它训练时用的数据",
    "test (default), validation or train of the run's own data": (
        "该次训练自己数据的 test（默认）、validation 或 train"
    ),
    "column with the answers": "答案所在的列",
    "images: the mean answer to several views, mirror or shift": (
        "图像：对多个视图的预测取平均，mirror（镜像）或 shift（平移）"
    ),
    "language models: read the whole text in one pass": "语言模型：一次读完整个文本",
    # predict
    "Answer new inputs with a run or an export: images, table rows, texts, series.": (
        "用一次训练的模型或导出的模型对新的输入作出预测：图像、表格行、文本、时间序列。"
    ),
    "image files": "图像文件",
    "a folder of them": "一个图像文件夹",
    "rows of a table": "表格的行",
    "texts": "文本",
    "a text per line": "每行一条文本",
    "and its mirror image": "连同镜像图像",
    "what comes next": "接下来的值",
    "a preset with weights": "自带权重的预设模型",
    "an exported model": "导出的模型",
    "the folder of a run, or one that kzoo export wrote; or a preset": (
        "一次训练的文件夹，或 kzoo export 写出的文件夹；或预设模型"
    ),
    "image files or folders, a table (CSV), text files, or texts; - reads lines": (
        "图像文件或文件夹、表格（CSV）、文本文件或文本；- 表示逐行读入"
    ),
    "write all answers to a CSV file": "把全部预测写入 CSV 文件",
    "draw a series and its forecast (.png, .svg, .pdf)": "画出时间序列及其预测（.png、.svg、.pdf）",
    "which exported file to run, such as onnx_int8 (default onnx)": "运行哪个导出文件，例如 onnx_int8（默认 onnx）",
    "show the N likeliest classes (default 1)": "显示概率最大的 N 个类别（默认 1）",
    # report
    "Write the report of a run or a search, one HTML page: scores, curves, settings.": (
        "写出一次训练或一次搜索的报告，一个 HTML 页面：得分、曲线、设置。"
    ),
    "report.html, in the run": "训练文件夹里的 report.html",
    "scored on new data too": "也在新数据上评分",
    "a search: its trials": "一次搜索：它的各次试验",
    "folder of a run, or of a search": "一次训练或一次搜索的文件夹",
    "the page to write; default: report.html in the run's folder": "写到哪个页面；默认：训练文件夹里的 report.html",
    "new data with answers, scored in a section of its own": "带答案的新数据，在单独一节里评分",
    # export
    "Turn a run into files that work elsewhere, each checked in its own runtime.": (
        "把训练好的模型变成可以在别处使用的文件，每个文件都用各自的运行时检查。"
    ),
    "for TensorFlow Serving": "用于 TensorFlow Serving",
    "compare again, anywhere": "可以在任何机器上再次比对",
    "0  every file works   1  a format failed its check   2  bad input": (
        "0  每个文件都可用   1  有格式没有通过检查   2  输入有误"
    ),
    "keras, saved_model, onnx, litert (default: saved_model)": "keras、saved_model、onnx、litert（默认：saved_model）",
    "also write smaller files: float16, int8": "另外写出更小的文件：float16、int8",
    "where to write it; default: exports/ and the run's name": "写到哪里；默认：exports/ 加上训练文件夹的名字",
    "what the run was trained on, for int8; not needed for named sets": "训练用的数据，int8 需要；有名字的数据集不需要",
    "replace what was exported of another model": "覆盖另一个模型的导出结果",
    "skip the checks: then nothing shows that a file works": "跳过检查：这样就无从得知文件是否可用",
    "for one conversion or check; default: 600": "一次转换或检查的时限；默认：600",
    # serve
    "Answer over HTTP with exported models, without Keras; a page at /.": (
        "用导出的模型通过 HTTP 回答请求，不需要 Keras；/ 上有一个页面。"
    ),
    "It speaks what clients speak already: the Open Inference Protocol (/v2), TensorFlow Serving's REST interface "
    "(/v1), and uploads of images, rows, texts and series. A new version beside the old (EXPORTED/2) takes over by "
    "itself. Ctrl-C or SIGTERM ends it, once what it has accepted is answered.": (
        "它支持客户端已有的协议：Open Inference Protocol（/v2）、TensorFlow Serving 的 REST 接口（/v1），"
        "以及直接上传图像、表格行、文本和时间序列。放在旧版本旁边的新版本（EXPORTED/2）会自动接替。"
        "Ctrl-C 或 SIGTERM 使它在答完已接受的请求后结束。"
    ),
    "two models, one named": "两个模型，其中一个另取名字",
    "folders that kzoo export wrote; NAME=FOLDER names one": "kzoo export 写出的文件夹；NAME=FOLDER 给它取名",
    "where to listen (default 127.0.0.1: this machine only)": "监听的地址（默认 127.0.0.1：只限本机）",
    "where to listen (default 8000; 0 takes a free one)": "监听的端口（默认 8000；0 表示任选一个空闲的）",
    "requests must bring it as a bearer token (default: $KZOO_TOKEN, else none)": (
        "请求必须带上这个 bearer 令牌（默认：$KZOO_TOKEN，没有则不需要）"
    ),
    "another name that requests may call this server by, such as a proxy's": (
        "请求可以用来称呼本服务器的另一个名字，例如代理的名字"
    ),
    "threads that compute a model's answers (default 1)": "计算一个模型的答案所用的线程数（默认 1）",
    "rows that go through a model together (default 64)": "一起通过模型的行数上限（默认 64）",
    "requests that wait for a model (default 256)": "等待一个模型的请求数上限（默认 256）",
    # compare
    "Rank runs, or a search's trials, from their files; or score two on new data.": (
        "根据文件给多次训练或一次搜索的试验排名；或者在新数据上比较两次训练。"
    ),
    "every run below a folder": "一个文件夹下的所有训练",
    "some, and their curves": "其中几次，以及它们的曲线",
    "a search's trials": "一次搜索的试验",
    "searches, by their best trials": "多次搜索，按各自最好的试验",
    "on data that neither has seen": "在两者都没见过的数据上",
    "exit code with --fail-if-worse:": "有 --fail-if-worse 时的退出码：",
    "0  the new run is at least as good   1  it is worse   2  it cannot be said": (
        "0  新的至少一样好   1  新的更差   2  无法判断"
    ),
    "folders of runs or searches, or folders that hold some": "训练或搜索的文件夹，或者装有它们的文件夹",
    "score to rank by, such as f1 or mae; default: the task's": "用哪个指标排名，例如 f1 或 mae；默认：由任务决定",
    "runs alone, without what needs no network": "只列训练结果，不列不用神经网络的基线",
    "write the table as CSV; without FILE, print it": "把表格写成 CSV；不给 FILE 时直接打印",
    "draw the training curves of all runs into one picture (.png, .svg, .pdf)": (
        "把所有训练的曲线画进一张图（.png、.svg、.pdf）"
    ),
    "two runs, NEW and OLD: score both on this data": "两次训练，NEW 和 OLD：都在这份数据上评分",
    "column of --data with the answers": "--data 中答案所在的列",
    "how much worse NEW may be (default 0)": "NEW 最多可以差多少（默认 0）",
    "exit code 1 where NEW is worse on --data than OLD": "NEW 在 --data 上比 OLD 差时，退出码为 1",
}

"""Allowlist of the classes and functions that an untrusted `.keras` file may use. Standard library only.

A class is on the list if building and calling it only computes: it reads no file, opens no URL, imports no module, runs
no code from the file, and has no more loop iterations than inputs. Excluded on purpose: `Lambda`, `TFSMLayer`,
`TorchModuleWrapper`, `JaxLayer`, `FlaxLayer` (run code from the file); operations that take functions (`Map`, `Scan`,
`Cond`, `WhileLoop`, ...); `AugMix` and `RandAugment` (loops of any length); `STFT` and `MelSpectrogram` (tables of any
size). Callers add classes with `trusted=`.
"""

NEVER = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _classes(module: str, names: str) -> set[tuple[str, str]]:
    return {(module, name) for name in _names(names)}


MODELS = {
    *_classes("keras", "Model Sequential"),
    ("keras.src.models.functional", "Functional"),
}

LAYERS = _classes(
    "keras.layers",
    # the core
    """InputLayer Dense EinsumDense Embedding ReversibleEmbedding Identity Masking Activation
    ELU LeakyReLU PReLU ReLU Softmax
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    Flatten Permute RepeatVector Reshape Cropping1D Cropping2D Cropping3D
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D """
    # convolutions and pooling
    """Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
    DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D """
    # recurrent layers and attention
    """RNN SimpleRNN SimpleRNNCell LSTM LSTMCell GRU GRUCell StackedRNNCells
    ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional TimeDistributed
    Attention AdditiveAttention MultiHeadAttention GroupQueryAttention """
    # normalisation and regularisation
    """BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization
    SpectralNormalization ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D SpatialDropout3D """
    # preprocessing
    """Normalization Rescaling Resizing CenterCrop CategoryEncoding Discretization Hashing HashedCrossing
    IntegerLookup StringLookup TextVectorization
    RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomErasing RandomFlip
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom AutoContrast Equalization Solarization""",
)

# Two layers of ConvNeXt in keras.applications, which Keras saves under their private path.
APPLICATIONS = _classes("keras.src.applications.convnext", "LayerScale StochasticDepth")

PARTS = {
    *_classes(
        "keras.initializers",
        """Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
        RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros""",
    ),
    *_classes("keras.regularizers", "L1 L2 L1L2 OrthogonalRegularizer"),
    *_classes("keras.constraints", "MaxNorm MinMaxNorm NonNeg UnitNorm"),
    *_classes("keras", "DTypePolicy"),
    *_classes(
        "keras.dtype_policies",
        "DTypePolicyMap QuantizedDTypePolicy QuantizedFloat8DTypePolicy Int4DTypePolicy",
    ),
    *_classes(
        "keras.quantizers",
        "AbsMaxQuantizer Int8QuantizationConfig Int4QuantizationConfig Float8QuantizationConfig",
    ),
}

# Operations in a functional graph (`keras.ops.mean(x)` and `x + 1`); Keras saves them under their private path.
OPERATIONS = {
    *_classes(
        "keras.src.ops.numpy",
        """Absolute Abs Add All Any Amax Amin Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argsort
        Average BroadcastTo Ceil Clip Concatenate Copy Cos Cosh CountNonzero Cross Cumprod Cumsum Diagonal Diff Digitize
        Divide DivideNoNan Dot Einsum Equal Exp Exp2 ExpandDims Expm1 Flip Floor FloorDivide FullLike GetItem Greater
        GreaterEqual Hstack Isfinite Isinf Isnan Less LessEqual Log Log10 Log1p Log2 Logaddexp LogicalAnd LogicalNot
        LogicalOr LogicalXor Matmul Max Maximum Mean Median Min Minimum Mod Moveaxis Multiply NanToNum Negative
        NotEqual OnesLike Outer Pad Power Prod Ravel Reciprocal Repeat Reshape Roll Round Sign Sin Sinh Sort Split Sqrt
        Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Transpose Tril Triu
        TrueDivide Trunc Var Vdot Vstack Where ZerosLike""",
    ),
    *_classes(
        "keras.src.ops.nn",
        """Relu Relu6 Sigmoid Softplus Softsign SoftShrink Silu Squareplus LogSigmoid LeakyRelu HardSigmoid HardSilu Elu
        Selu Gelu Celu Glu TanhShrink HardTanh HardShrink Threshold Softmax LogSoftmax Sparsemax MaxPool AveragePool
        OneHot MultiHot Moments BatchNorm Normalize DotProductAttention RMSNorm LayerNorm DepthToSpace SpaceToDepth""",
    ),
    *_classes("keras.src.ops.core", "Cast SaturateCast StopGradient Slice Unstack ConvertToTensor"),
    *_classes("keras.src.ops.math", "Logsumexp Rsqrt Erf TopK InTopK"),
    *_classes("keras.src.ops.image", "RGBToGrayscale Resize PadImages CropImages"),
    *_classes("keras.src.ops.linalg", "Norm"),
}

CLASSES = MODELS | LAYERS | APPLICATIONS | PARTS | OPERATIONS

# Functions by name, and the modules in which Keras may look them up. All are activations.
FUNCTION_MODULES = ("builtins", "keras.activations", "keras.ops")
FUNCTIONS = _names(
    """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold"""
)

# Upper bounds of arguments that cost time or memory but are not a dimension of a weight.
BOUNDS = {
    "num_oov_indices": 65_536,
    "max_tokens": 10_000_000,
    "power_iterations": 100,
    "ngrams": 1_000,
}

DTYPES = _names(
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 bfloat16 float16 float32 float64 string"
)
